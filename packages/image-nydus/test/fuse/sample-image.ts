import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type {
  ByteString,
  ChunkRef,
  DirectoryInode,
  FileAttributes,
  FileInode,
  Inode,
} from "../../src/tree/inode.ts";
import { toListing, type FileListing, type ListedFile } from "../tree/file-listing.ts";
import type { MemoryImage } from "./memory-filesystem.ts";

const chunkSize = 65_536;
const blockSize = 4_096;

/** A blob that grows, and the files in it. */
export interface BlobMaker {
  file(content: Uint8Array, attributes?: Partial<FileAttributes>): FileInode;
  /** Writes the blob and puts its id into the files made. */
  finish(directory: string): Promise<string>;
  contentOf(file: FileInode): Buffer;
}

export function attributes(changes: Partial<FileAttributes> = {}): Omit<FileAttributes, "kind"> {
  return {
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: { seconds: 1_700_000_000, nanoseconds: 123_456_789 },
    xattrs: new Map(),
    ...changes,
  };
}

export function blobMaker(): BlobMaker {
  const parts: Buffer[] = [];
  const refs: { blobId: string }[] = [];
  const contents = new Map<FileInode, Buffer>();
  let offset = 0;
  return {
    file(content, changes) {
      const bytes = Buffer.from(content);
      const chunks: ChunkRef[] = [];
      for (let at = 0; at < bytes.length; at += chunkSize) {
        const chunk = bytes.subarray(at, at + chunkSize);
        const padding = Buffer.alloc((blockSize - (chunk.length % blockSize)) % blockSize);
        parts.push(chunk, padding);
        const digest = createHash("sha256").update(chunk).digest();
        const ref = { blobId: "", index: refs.length, offset, size: chunk.length, digest };
        refs.push(ref);
        chunks.push(ref);
        offset += chunk.length + padding.length;
      }
      const file = { ...attributes(changes), kind: "file", size: bytes.length, chunks } as const;
      contents.set(file, bytes);
      return file;
    },
    async finish(place) {
      const blob = Buffer.concat(parts);
      const blobId = createHash("sha256").update(blob).digest("hex");
      for (const ref of refs) ref.blobId = blobId;
      await writeFile(join(place, blobId), blob);
      return blobId;
    },
    contentOf: (file) => contents.get(file) ?? Buffer.alloc(0),
  };
}

export function directory(
  children: readonly (readonly [ByteString, Inode])[],
  changes: Partial<FileAttributes> = {},
): DirectoryInode {
  return {
    ...attributes({ mode: 0o755, ...changes }),
    kind: "directory",
    children: new Map(children),
  };
}

/** Bytes that look random and are always the same. */
export function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let at = 0; at + 4 <= length; at += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes.writeUInt32LE(state, at);
  }
  return bytes;
}

export interface SampleImage {
  readonly image: MemoryImage;
  readonly blob: BlobMaker;
  readonly big: FileInode;
}

/** One of everything that can be in an image, and a directory of many names. */
export function sampleImage(manyNames = 5_000): SampleImage {
  const blob = blobMaker();
  const big = blob.file(noise(3_000_017), { mode: 0o600 });
  const linked = blob.file(Buffer.from("linked"), { uid: 1_000, gid: 4_000_000_000 });
  const sparse = Buffer.alloc(700_000);
  sparse.write("start", 0);
  sparse.write("end", 699_000);
  const acl = Buffer.from(
    "0200000001000600ffffffff02000400e803000004000400ffffffff10000400ffffffff20000400ffffffff",
    "hex",
  );
  const xattrs = new Map([
    ["user.text", Buffer.from("value")],
    ["user.binary", Buffer.from([0, 255, 10, 0])],
    ["user.empty", Buffer.alloc(0)],
    ["trusted.mark", Buffer.from("y")],
    ["security.capability", Buffer.from("0100000200200000000000000000000000000000", "hex")],
    ["system.posix_acl_access", acl],
  ]);
  const many = Array.from(
    { length: manyNames },
    (_, number) => [`name-${number}-${"x".repeat(number % 90)}`, many1(blob, number)] as const,
  );
  const device = { major: 259, minor: 70_000 };
  const root = directory(
    [
      ["big", big],
      ["empty", blob.file(Buffer.alloc(0))],
      ["small", blob.file(Buffer.from("hello\n"), { mode: 0o4711 })],
      ["sparse", blob.file(sparse)],
      ["xattrs", blob.file(Buffer.from("x"), { xattrs, mode: 0o644 })],
      ["link-a", linked],
      ["old", blob.file(Buffer.from("o"), { mtime: { seconds: -2, nanoseconds: 500_000_000 } })],
      ["new", blob.file(Buffer.from("n"), { mtime: { seconds: 6e9, nanoseconds: 1 } })],
      ["sym", { ...attributes({ mode: 0o777 }), kind: "symlink", target: "sub/\u00ff\u00fe" }],
      ["long", { ...attributes({ mode: 0o777 }), kind: "symlink", target: "t".repeat(4_000) }],
      ["dangling", { ...attributes({ mode: 0o777 }), kind: "symlink", target: "/no/where" }],
      ["chr", { ...attributes(), kind: "character-device", device: { major: 0, minor: 0 } }],
      ["blk", { ...attributes({ mode: 0o660 }), kind: "block-device", device }],
      ["pipe", { ...attributes(), kind: "fifo" }],
      ["sock", { ...attributes(), kind: "socket" }],
      [
        "sub",
        directory(
          [
            ["\u00ff\u00fe not utf-8 \u0001\n'\"\\", blob.file(Buffer.from("odd"))],
            ["n".repeat(255), blob.file(Buffer.from("long name"))],
            ["link-b", linked],
            ["empty", directory([], { mode: 0o1777 })],
          ],
          { mode: 0o2750, uid: 5, gid: 6, xattrs: new Map([["user.dir", Buffer.from("d")]]) },
        ),
      ],
      ["many", directory(many)],
    ],
    { mtime: { seconds: 1, nanoseconds: 2 } },
  );
  return { image: { root, chunkSize }, blob, big };
}

function many1(blob: BlobMaker, number: number): FileInode {
  return blob.file(number % 100 === 0 ? Buffer.from(`${number}`) : Buffer.alloc(0));
}

/** What a copy of the tree must be listed as. */
export function listTree(root: DirectoryInode, blob: BlobMaker): FileListing {
  const files: (ListedFile & { readonly inode: unknown })[] = [];
  const visit = (inode: Inode, path: string): void => {
    const { seconds, nanoseconds } = inode.mtime;
    files.push({
      path,
      kind: inode.kind,
      mode: inode.mode.toString(8).padStart(4, "0"),
      uid: inode.uid,
      gid: inode.gid,
      size: inode.kind === "file" ? inode.size : 0,
      mtime: `${seconds}.${String(nanoseconds).padStart(9, "0")}`,
      xattrs: Object.fromEntries(
        [...inode.xattrs]
          .toSorted(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, value]) => [name, value.toString("hex")]),
      ),
      ...(inode.kind === "symlink" && { target: inode.target }),
      ...("device" in inode && { device: `${inode.device.major}:${inode.device.minor}` }),
      ...(inode.kind === "file" && {
        sha256: createHash("sha256").update(blob.contentOf(inode)).digest("hex"),
      }),
      inode,
    });
    if (inode.kind !== "directory") return;
    for (const [name, child] of inode.children)
      visit(child, path === "." ? name : `${path}/${name}`);
  };
  visit(root, ".");
  return toListing(files);
}

export interface SomeFiles {
  readonly image: MemoryImage;
  readonly contents: ReadonlyMap<string, Buffer>;
}

/** An image of a few files of noise, each with chunks of its own. */
export async function someFiles(
  blobs: string,
  { count = 1, bytes = 10 }: { readonly count?: number; readonly bytes?: number } = {},
): Promise<SomeFiles> {
  const blob = blobMaker();
  const files = Array.from({ length: count }, (_, number) => {
    const file: FileInode = blob.file(noise(bytes, number + 1));
    return [`file-${number}`, file] as const;
  });
  await blob.finish(blobs);
  return {
    image: { root: directory(files), chunkSize: 65_536 },
    contents: new Map(files.map(([name, file]) => [name, blob.contentOf(file)])),
  };
}
