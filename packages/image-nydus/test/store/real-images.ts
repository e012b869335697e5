import { execFile } from "node:child_process";
import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { cachedBuild } from "./image-cache.ts";

const execute = promisify(execFile);

async function run(command: string, ...args: readonly string[]): Promise<void> {
  await execute(command, args, { maxBuffer: 64 * 1_048_576 });
}

/** Names of the images in the layout that {@link realImageLayout} has. */
export const realImages = ["minbase", "python", "node", "app-1", "app-2", "odd"] as const;

const exclusions = ["doc", "man", "locale", "info"].map(
  (name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`,
);

// Everything a layer can hold, and then what changes it: whiteouts, an opaque directory, other kinds under old names.
const oddLayers = `
import io, os, sys, tarfile
def add(tar, name, kind=tarfile.REGTYPE, data=b"", link="", mode=0o644, pax=None, **more):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.mode, entry.size, entry.mtime = kind, link, mode, len(data), 1_600_000_000.25
    entry.pax_headers = pax or {}
    for key, value in more.items(): setattr(entry, key, value)
    tar.addfile(entry, io.BytesIO(data))
def directory(tar, name, **more): add(tar, name, tarfile.DIRTYPE, mode=more.pop("mode", 0o755), **more)
capability = bytes.fromhex("0100000200200000000000000000000000000000").decode("utf-8", "surrogateescape")
acl = bytes.fromhex("0200000001000600ffffffff02000400e803000004000400ffffffff10000400ffffffff20000400ffffffff").decode("utf-8", "surrogateescape")
options = dict(format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape")
with tarfile.open(sys.argv[1], "w", **options) as tar:
    directory(tar, "./"); directory(tar, "d", mode=0o1777, uid=1000, gid=2000); directory(tar, "gone"); directory(tar, "opaque")
    add(tar, "empty"); add(tar, "file", data=b"hello\\n" * 1000, mode=0o4755, uid=4_000_000_000, gid=3_000_000_000)
    add(tar, "hard", tarfile.LNKTYPE, link="file"); add(tar, "d/hard", tarfile.LNKTYPE, link="file")
    add(tar, "soft", tarfile.SYMTYPE, link="d/../file"); add(tar, "absolute", tarfile.SYMTYPE, link="/etc/passwd")
    add(tar, "long", tarfile.SYMTYPE, link="x" * 4000); add(tar, "hard-soft", tarfile.LNKTYPE, link="soft")
    add(tar, "fifo", tarfile.FIFOTYPE); add(tar, "char", tarfile.CHRTYPE, devmajor=1, devminor=3)
    add(tar, "block", tarfile.BLKTYPE, devmajor=259, devminor=70000)
    add(tar, "caf\\udce9-\\udcff", data=b"latin1 name"); add(tar, "new\\nline and space", data=b"x"); add(tar, "n" * 255, data=b"y")
    for depth in range(1, 61): directory(tar, "/".join("x" * depth))
    add(tar, "x/" * 60 + "deep", data=b"deep")
    add(tar, "xattrs", data=b"x", pax={"SCHILY.xattr.user.note": "a=b\\nc", "SCHILY.xattr.security.capability": capability,
        "SCHILY.xattr.system.posix_acl_access": acl})
    directory(tar, "xattr-dir", pax={"SCHILY.xattr.user.dir": "1"})
    add(tar, "old", data=b"old", mtime=-86400.5); add(tar, "future", data=b"new", mtime=4_102_444_800.123456789)
    add(tar, "zeros", data=b"\\0" * 5_000_000 + b"end"); add(tar, "chunks", data=os.urandom(1 << 20) * 3 + b"tail")
    directory(tar, "many"); directory(tar, "opaque/sub"); directory(tar, "becomes-file")
    for n in range(1500): add(tar, f"many/{n:05d}-{'m' * (n % 90)}", data=str(n % 7).encode())
    for name in ["gone/a", "gone/b", "opaque/lower", "opaque/sub/lower", "becomes-dir", "becomes-link"]: add(tar, name, data=b"lower")
    add(tar, "becomes-file/inner", data=b"lower"); add(tar, " before-dot", data=b"1"); add(tar, "!bang", data=b"2")
with tarfile.open(sys.argv[2], "w", **options) as tar:
    add(tar, ".wh.gone"); add(tar, "d/.wh.hard"); add(tar, ".wh.empty")
    directory(tar, "opaque", mode=0o700); add(tar, "opaque/upper", data=b"upper"); add(tar, "opaque/.wh..wh..opq")
    add(tar, "becomes-file", data=b"file now"); directory(tar, "becomes-dir"); add(tar, "becomes-dir/inner", data=b"inner")
    add(tar, "becomes-link", tarfile.SYMTYPE, link="file"); directory(tar, "d", mode=0o700, uid=7)
    add(tar, "hard-again", tarfile.LNKTYPE, link="chunks"); directory(tar, "gone-again")
`;

/**
 * Images out of real Debian packages, and one of everything that is unusual, by umoci; built once and kept. Needs root, and
 * the Debian packages mmdebstrap, python3 and umoci.
 *
 * @returns the directory of an OCI layout, to be read only
 */
export async function realImageLayout(): Promise<string> {
  const recipe = new URL(import.meta.url);
  return join(await cachedBuild({ name: "real-images", recipe, build: buildAll }), "layout");
}

async function buildAll(directory: string): Promise<void> {
  const work = join(directory, "work");
  await mkdir(work);
  await buildRealImages(work, join(directory, "layout"));
  await rm(work, { recursive: true });
}

async function buildRealImages(directory: string, layout: string): Promise<void> {
  const file = (name: string): string => join(directory, name);
  const debian = (tar: string, ...what: readonly string[]): Promise<void> =>
    run("mmdebstrap", "--quiet", ...what, ...exclusions, "bookworm", file(tar));
  await Promise.all([
    debian("minbase.tar", "--variant=minbase"),
    // Packages as they are unpacked: to configure them takes most of the time.
    debian("python.tar", "--variant=extract", "--include=python3-minimal,dash,coreutils"),
    run("python3", "-c", oddLayers, file("odd-1.tar"), file("odd-2.tar")),
    nodeLayer(file("node"), file("node.tar")),
    appLayers(file("app"), [file("app-1.tar"), file("app-2.tar")]),
  ]);
  await run("umoci", "init", "--layout", layout);
  const image = async (name: string, ...layers: readonly string[]): Promise<void> => {
    await run("umoci", "new", "--image", `${layout}:${name}`);
    for (const layer of layers) {
      await run("umoci", "raw", "add-layer", "--image", `${layout}:${name}`, file(layer));
    }
  };
  await image("minbase", "minbase.tar");
  await image("python", "python.tar");
  await image("odd", "odd-1.tar", "odd-2.tar");
  for (const [name, ...layers] of [
    ["node", "node.tar"],
    ["app-1", "app-1.tar"],
    ["app-2", "app-1.tar", "app-2.tar"],
  ] as const) {
    await run("umoci", "tag", "--image", `${layout}:python`, name);
    for (const layer of layers) {
      await run("umoci", "raw", "add-layer", "--image", `${layout}:${name}`, file(layer));
    }
  }
}

/** A layer with the very Node that runs the test. */
async function nodeLayer(root: string, tar: string): Promise<void> {
  await mkdir(join(root, "usr/local/bin"), { recursive: true });
  await cp(process.execPath, join(root, "usr/local/bin/node"));
  await run("tar", "--format=posix", "--owner=0", "--group=0", "-cf", tar, "-C", root, ".");
}

/** A program of forty files, and its next version: most is the same, some is new, some is gone. */
async function appLayers(root: string, [first, second]: readonly [string, string]): Promise<void> {
  const app = join(root, "1/app/lib");
  await mkdir(app, { recursive: true });
  const content = (seed: number): string =>
    Array.from({ length: 4_000 }, (_, line) => `line ${line} of ${seed * 7_919 + line}`).join("\n");
  for (let n = 0; n < 40; n += 1) await writeFile(join(app, `module-${n}.js`), content(n));
  const changed = join(root, "2/app/lib");
  await mkdir(changed, { recursive: true });
  for (const n of [3, 17]) await writeFile(join(changed, `module-${n}.js`), content(n + 100));
  await writeFile(join(changed, ".wh.module-5.js"), "");
  for (const [number, tar] of [first, second].entries()) {
    const from = join(root, String(number + 1));
    await run("tar", "--format=posix", "--owner=0", "--group=0", "-cf", tar, "-C", from, "app");
  }
}
