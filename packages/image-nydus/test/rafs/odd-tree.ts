import { createHash } from "node:crypto";
import type { DirectoryInode, Inode } from "../../src/tree/inode.ts";
import { device, directory, pipe, symlink, type ImageBuilder } from "./image-builder.ts";

/** `user::rwx user:1000:r-x group::r-x mask::r-x other::---` in the kernel's binary form */
const accessAcl: Buffer = Buffer.from(
  "02000000" +
    "01000700ffffffff" +
    "02000500e8030000" +
    "04000500ffffffff" +
    "10000500ffffffff" +
    "20000000ffffffff",
  "hex",
);

/** `cap_net_raw=ep` as `security.capability` holds it */
const capability: Buffer = Buffer.from("0100000200200000000000000000000000000000", "hex");

/** A tree with every kind of file, odd names, big directories, hard links, xattrs and files of many chunks. */
export async function oddTree(builder: ImageBuilder): Promise<DirectoryInode> {
  const shared = await builder.file(Buffer.from("one inode, three names"), { mode: 0o4755 });
  const linkedFifo = pipe("fifo", { mode: 0o600 });
  const linkedSymlink = symlink("shared target");
  const noise = Buffer.alloc(300_001, "Longshore keeps chunks ");
  const [seven, nine] = [randomBytes(1_048_576, "7"), randomBytes(1_048_576, "9")];
  const mebibytes = Buffer.concat([seven, nine, seven, seven.subarray(0, 17)]);
  const many = new Map<string, Inode>();
  const small = await builder.file(Buffer.from("small"));
  for (let number = 0; number < 1500; number += 1) {
    many.set(
      `entry-${number}-${"x".repeat(number % 90)}`,
      number % 7 === 0 ? symlink(`to-${number}`) : small,
    );
  }
  let deep = directory({ bottom: small });
  for (let level = 0; level < 20; level += 1) deep = directory({ [`level-${level}`]: deep });

  return directory({
    empty: await builder.file(Buffer.alloc(0)),
    "empty-directory": directory({}, { mode: 0o1777 }),
    shared,
    again: directory({ shared, fifo: linkedFifo, symlink: linkedSymlink }),
    "third-name": shared,
    fifo: linkedFifo,
    symlink: linkedSymlink,
    noise: await builder.file(noise, { uid: 4_000_000_000, gid: 4_100_000_000 }),
    "noise-in-another-blob": await builder.file(noise, {}, 1),
    mebibytes: await builder.file(mebibytes, { mtime: { seconds: -5, nanoseconds: 1 } }, 1),
    "reversed-chunks": await builder.file(
      Buffer.concat([mebibytes.subarray(1_048_576, 3 * 1_048_576), Buffer.from("tail")]),
    ),
    future: symlink("x", { mtime: { seconds: 2 ** 33, nanoseconds: 999_999_999 } }),
    "long-symlink": symlink("t".repeat(4001)),
    "longest-symlink": symlink(`${"d/".repeat(2047)}e`),
    "device-zero": device("character-device", [0, 0]),
    "device-big": device("block-device", [4095, 1_048_575]),
    "device-mid": device("character-device", [10, 300], { mode: 0o660 }),
    socket: pipe("socket"),
    many: directory(many),
    deep,
    "with-xattrs": await builder.file(Buffer.from("ping"), {
      xattrs: new Map([
        ["user.note", Buffer.from("zero\0inside")],
        ["user.empty", Buffer.alloc(0)],
        ["trusted.overlay.origin", Buffer.from([0xfb, 0, 1])],
        ["security.capability", capability],
        ["system.posix_acl_access", accessAcl],
      ]),
      mode: 0o750,
    }),
    "directory-with-xattrs": directory(
      { inside: symlink("y", { xattrs: new Map([["trusted.link", Buffer.from("l")]]) }) },
      {
        xattrs: new Map([
          ["trusted.big", Buffer.alloc(4000, 1)],
          ["system.posix_acl_default", accessAcl],
        ]),
      },
    ),
    "symlink-behind-xattrs": symlink("far away", {
      xattrs: new Map([["trusted.big", Buffer.alloc(30_000, 3)]]),
    }),
    "!before-dot": small,
    " ": small,
    "-dash": small,
    "...": small,
    "..a": small,
    "new\nline": small,
    "back\\slash": small,
    "latin-\u00e9\u00ff": small,
    "not-utf8-\u0080\u00fe": small,
    [`long-${"n".repeat(250)}`]: small,
    "full-block": directory(fullBlock(small)),
  });
}

/** Always the same bytes for a seed; nothing compresses them. */
function randomBytes(size: number, seed: string): Buffer {
  return createHash("shake256", { outputLength: size }).update(seed).digest();
}

/** Names that fill a block of a directory to its last byte, and one more. */
function fullBlock(inode: Inode): ReadonlyMap<string, Inode> {
  const names = new Map<string, Inode>();
  // "." and ".." take 27 bytes; 4096 - 27 = 15 entries of 256 + one of 229, each with 12 bytes besides its name.
  for (let number = 0; number < 15; number += 1) {
    names.set(`a${String(number).padStart(3, "0")}`.padEnd(244, "f"), inode);
  }
  names.set("b".padEnd(217, "f"), inode);
  return names.set("next block", inode);
}
