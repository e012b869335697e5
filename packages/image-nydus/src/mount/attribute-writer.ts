import { spawn } from "node:child_process";
import { once } from "node:events";
import type { ByteString, DeviceNumber, FileTime } from "../tree/inode.ts";
import { collect, exitOf, findPerl, perlArguments, perlError } from "./perl.ts";

/** What an entry of a directory gets besides its bytes. */
interface EntryAttributes {
  readonly isSymlink: boolean;
  /** Absent: the owner stays */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  readonly mode: number;
  readonly mtime: FileTime;
  readonly xattrs: Iterable<readonly [ByteString, Buffer]>;
}

/**
 * Makes what Node cannot, in the order it is told; paths are absolute and links in their last part are not followed. A
 * failure ends it, and shows at the next call or in `finish`.
 */
export interface AttributeWriter {
  symlink(path: Buffer, target: ByteString): Promise<void>;
  hardlink(path: Buffer, existing: Buffer): Promise<void>;
  /** @param mode type and permissions */
  node(path: Buffer, mode: number, device: DeviceNumber): Promise<void>;
  attributes(path: Buffer, attributes: EntryAttributes): Promise<void>;
  /** Resolves when all is done. @throws {LongshoreError} `IO_ERROR` for the first thing that failed */
  finish(): Promise<void>;
  /** Ends it at once. Idempotent; no error after `finish`. */
  kill(): Promise<void>;
}

// Owners come first and permissions late: the kernel takes setuid bits and capabilities away when an owner changes, and
// someone who is not root may not write attributes of a file that is read-only.
const program = String.raw`
binmode STDIN;
my ($here, $nofollow) = (-100, 0x100);
sub take { my ($length) = @_;
  my $got = read(STDIN, my $bytes, $length) // fail("read");
  exit 0 if $got == 0 and $length == 4;
  if ($got != $length) { $! = 32; fail("read") }
  return $bytes; }
while (1) {
  my ($what, $path, @rest) = unpack("(N/a*)*", take(unpack("N", take(4))));
  if ($what eq "symlink") { symlink($rest[0], $path) or fail("symlink", $path); }
  elsif ($what eq "link") { link($rest[0], $path) or fail("link", $path); }
  elsif ($what eq "node") {
    syscall($call{mknodat}+0, $here, $path, $rest[0]+0, $rest[1]+0) == 0 or fail("mknod", $path); }
  elsif ($what eq "attributes") {
    my ($is_symlink, $uid, $gid, $mode, $seconds, $nanoseconds, @xattrs) = @rest;
    if ($uid ne "") {
      syscall($call{fchownat}+0, $here, $path, $uid+0, $gid+0, $nofollow) == 0 or fail("chown", $path); }
    while (my ($name, $value) = splice(@xattrs, 0, 2)) {
      syscall($call{lsetxattr}+0, $path, $name, $value, length($value)+0, 0) == 0
        or fail("set attribute $name", $path); }
    $is_symlink or chmod($mode, $path) or fail("chmod", $path);
    my $times = pack("q4", $seconds, $nanoseconds, $seconds, $nanoseconds);
    syscall($call{utimensat}+0, $here, $path, $times, $nofollow) == 0 or fail("set times", $path); }
}
`;

export async function attributeWriter(): Promise<AttributeWriter> {
  const child = spawn(await findPerl(), perlArguments(program, []), {
    cwd: "/",
    stdio: ["pipe", "ignore", "pipe"],
    env: { LC_ALL: "C" },
  });
  const report = collect(child.stderr);
  const exit = exitOf(child);
  exit.catch(() => undefined);
  // Writing to a child that has ended fails; why it ended is what counts, and its exit tells.
  child.stdin.on("error", () => undefined);

  const checkExit = async (): Promise<void> => {
    if ((await exit) !== 0) throw perlError("write the files of an image", report());
  };
  const send = async (...fields: readonly (Buffer | string)[]): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return checkExit();
    if (child.stdin.write(toFrame(fields))) return;
    // A child that ends closes its input, which is no drain.
    await Promise.race([once(child.stdin, "drain"), exit]);
  };

  return {
    symlink: (path, target) => send("symlink", path, target),
    hardlink: (path, existing) => send("link", path, existing),
    node: (path, mode, device) => send("node", path, `${mode}`, `${packDevice(device)}`),
    attributes: (path, { isSymlink, owner, mode, mtime, xattrs }) =>
      send(
        "attributes",
        path,
        isSymlink ? "1" : "",
        `${owner?.uid ?? ""}`,
        `${owner?.gid ?? ""}`,
        `${mode}`,
        `${mtime.seconds}`,
        `${mtime.nanoseconds}`,
        ...[...xattrs].flat(),
      ),
    async finish() {
      child.stdin.end();
      await checkExit();
    },
    async kill() {
      child.kill("SIGKILL");
      await exit.catch(() => undefined);
    },
  };
}

/** Everything with its length before it: names and values may hold any byte. */
function toFrame(fields: readonly (Buffer | string)[]): Buffer {
  const parts: Buffer[] = [Buffer.alloc(4)];
  let length = 0;
  for (const field of fields) {
    const bytes = typeof field === "string" ? Buffer.from(field, "latin1") : field;
    const size = Buffer.alloc(4);
    size.writeUInt32BE(bytes.length);
    parts.push(size, bytes);
    length += 4 + bytes.length;
  }
  parts[0]?.writeUInt32BE(length);
  return Buffer.concat(parts);
}

/** A device number in the form in which system calls take it. */
function packDevice({ major, minor }: DeviceNumber): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12)) >>> 0;
}
