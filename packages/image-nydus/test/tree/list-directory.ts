import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import type { FileKind } from "../../src/tree/inode.ts";
import { toListing, type FileListing, type ListedFile } from "./file-listing.ts";

export interface ListDirectoryOptions {
  /** Extended attributes that are left out, by name, e.g. `/^trusted\.overlay\./` */
  readonly ignoreXattrs?: RegExp;
}

// Python has lstat with nanoseconds, names as bytes, and extended attributes of symlinks; Node has no xattrs at all.
const script = `
import hashlib, json, os, stat, sys
KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink", stat.S_IFCHR: "character-device",
         stat.S_IFBLK: "block-device", stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket"}
def describe(path, name):
    s = os.lstat(path)
    kind = KINDS[stat.S_IFMT(s.st_mode)]
    seconds, nanoseconds = divmod(s.st_mtime_ns, 10**9)
    names = [os.fsencode(n) for n in os.listxattr(path, follow_symlinks=False)]
    line = {"path": name.decode("latin1"), "kind": kind, "mode": "%04o" % stat.S_IMODE(s.st_mode),
            "uid": s.st_uid, "gid": s.st_gid, "size": s.st_size if kind == "file" else 0,
            "mtime": "%d.%09d" % (seconds, nanoseconds), "inode": "%d:%d" % (s.st_dev, s.st_ino),
            "xattrs": {n.decode("latin1"): os.getxattr(path, n, follow_symlinks=False).hex() for n in sorted(names)}}
    if kind == "symlink": line["target"] = os.readlink(path).decode("latin1")
    if kind.endswith("device"): line["device"] = "%d:%d" % (os.major(s.st_rdev), os.minor(s.st_rdev))
    if kind == "file":
        digest = hashlib.sha256()
        with open(path, "rb") as f:
            while block := f.read(1 << 20): digest.update(block)
        line["sha256"] = digest.hexdigest()
    print(json.dumps(line))
    if kind == "directory":
        for child in os.listdir(path):
            describe(path + b"/" + child, child if name == b"." else name + b"/" + child)
sys.setrecursionlimit(100000)
describe(os.fsencode(sys.argv[1]), b".")
`;

/** Lists a directory of this machine with all attributes, e.g. a mounted image. Needs `python3`, and root to see all. */
export async function listDirectory(
  directory: string,
  { ignoreXattrs }: ListDirectoryOptions = {},
): Promise<FileListing> {
  const child = spawn("python3", ["-c", script, directory], { stdio: ["ignore", "pipe", "pipe"] });
  const complaint = text(child.stderr);
  const exit = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject).once("close", resolve);
  });
  const files: (ListedFile & { readonly inode: unknown })[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    files.push(toFile(JSON.parse(line), ignoreXattrs));
  }
  if ((await exit) !== 0) throw new Error(`cannot list ${directory}: ${await complaint}`);
  return toListing(files);
}

interface PrintedFile extends ListedFile {
  readonly kind: FileKind;
  readonly inode: string;
}

function toFile(printed: PrintedFile, ignoreXattrs: RegExp | undefined): PrintedFile {
  if (ignoreXattrs === undefined) return printed;
  const kept = Object.entries(printed.xattrs).filter(([name]) => !ignoreXattrs.test(name));
  return { ...printed, xattrs: Object.fromEntries(kept) };
}
