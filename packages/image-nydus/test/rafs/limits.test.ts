import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import type { BootstrapBlob } from "../../src/rafs/bootstrap-image.ts";
import { openBootstrap } from "../../src/rafs/open-bootstrap.ts";
import { validateRafs } from "../../src/rafs/validate-rafs.ts";
import { writeBootstrap } from "../../src/rafs/write-bootstrap.ts";
import type { DirectoryInode, FileInode, Inode } from "../../src/tree/inode.ts";
import { device, directory, imageBuilder, pipe, symlink } from "./image-builder.ts";
import { memorySink } from "./memory-sink.ts";

const zero = createHash("sha256").update(Buffer.alloc(1)).digest();

function blobs(count: number): BootstrapBlob[] {
  return Array.from({ length: count }, (_, index) => ({
    id: createHash("sha256").update(String(index)).digest("hex"),
    uncompressedSize: 4096,
    compressedSize: 8208,
    chunkCount: 1,
    compressor: "none",
    digester: "sha256",
    features: 0x4000_0001,
    chunkTable: { offset: 4096, compressedSize: 16, uncompressedSize: 16, compressor: "none" },
  }));
}

async function write(root: DirectoryInode, list: readonly BootstrapBlob[] = []): Promise<Buffer> {
  const sink = memorySink();
  await writeBootstrap(sink, { root, blobs: list });
  return sink.bytes();
}

function fileIn(blob: BootstrapBlob | undefined, change: Partial<FileInode> = {}): FileInode {
  const chunk = { blobId: blob?.id ?? "", index: 0, offset: 0, size: 1, digest: zero };
  const { mode, uid, gid, mtime, xattrs } = directory({});
  return { kind: "file", mode, uid, gid, mtime, xattrs, size: 1, chunks: [chunk], ...change };
}

it("writes an image with 254 blobs and refuses 255", async () => {
  const list = blobs(255);
  const names = (count: number): DirectoryInode =>
    directory(new Map(list.slice(0, count).map((blob) => [blob.id, fileIn(blob)])));

  const image = await write(names(254), list.slice(0, 254));

  expect(validateRafs(image)).toMatchObject({ chunkRefs: 254 });
  await expect(write(names(255), list)).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
});

it("stores names of 255 bytes and targets of 4,095, and refuses longer ones", async () => {
  const image = await write(directory({ ["n".repeat(255)]: symlink("t".repeat(4095)) }));
  const filesystem = openBootstrap(image);

  const nid = filesystem.lookup(filesystem.rootNid, "n".repeat(255))?.nid ?? 0;

  expect(filesystem.linkTarget(nid)).toHaveLength(4095);
  const limit = { code: "LIMIT_EXCEEDED" };
  await expect(write(directory({ ["n".repeat(256)]: symlink("t") }))).rejects.toMatchObject(limit);
  await expect(write(directory({ link: symlink("t".repeat(4096)) }))).rejects.toMatchObject(limit);
});

it("stores xattrs up to the limits of Linux and of the format, and refuses longer ones", async () => {
  const withXattrs = (pairs: readonly [string, number][]): DirectoryInode =>
    directory({
      file: pipe("fifo", {
        xattrs: new Map(pairs.map(([name, size]) => [name, Buffer.alloc(size, 1)])),
      }),
    });
  const limit = { code: "LIMIT_EXCEEDED" };

  const image = await write(
    withXattrs([
      [`user.${"n".repeat(250)}`, 65_535],
      ["user.b", 65_535],
      ["user.c", 65_535],
      // The rest of 65,535 units of four bytes, but their header.
      ["user.d", 262_136 - 65_792 - 2 * 65_544 - 5],
    ]),
  );
  const filesystem = openBootstrap(image);
  const nid = filesystem.lookup(filesystem.rootNid, "file")?.nid ?? 0;

  expect(filesystem.xattrs(nid).size).toBe(4);
  await expect(write(withXattrs([[`user.${"n".repeat(251)}`, 1]]))).rejects.toMatchObject(limit);
  await expect(write(withXattrs([["user.a", 65_536]]))).rejects.toMatchObject(limit);
  const five = ["a", "b", "c", "d", "e"].map((name): [string, number] => [`user.${name}`, 65_535]);
  await expect(write(withXattrs(five))).rejects.toMatchObject(limit);
});

it("leaves out xattrs of namespaces that Linux has not, and says which", async () => {
  const names = ["com.apple.quarantine", "system.nfs4_acl", "user.", "lustre.x", "user.kept"];
  const xattrs = new Map(names.map((name) => [name, Buffer.from("v")]));
  const sink = memorySink();

  const written = await writeBootstrap(sink, {
    root: directory({ one: pipe("fifo", { xattrs }), two: pipe("fifo", { xattrs }) }),
    blobs: [],
  });

  const filesystem = openBootstrap(sink.bytes());
  const nid = filesystem.lookup(filesystem.rootNid, "one")?.nid ?? 0;
  expect([...filesystem.xattrs(nid).keys()]).toEqual(["user.kept"]);
  expect(Object.fromEntries(written.omittedXattrs)).toEqual({
    "com.apple.quarantine": 2,
    "system.nfs4_acl": 2,
    "user.": 2,
    "lustre.x": 2,
  });
});

const twice = directory({});
const loop = directory({});
loop.children.set("loop", loop);

it.each<[string, Inode | Record<string, Inode>]>([
  ["a directory with two names", { one: twice, two: twice }],
  ["a directory in itself", { loop }],
  ["a name with a slash", { "a/b": twice }],
  ["the name ..", { "..": twice }],
  ["no name", { "": twice }],
  ["a name with a zero byte", { "a\0": twice }],
  ["a name that is not bytes", { "\u0100": twice }],
  ["a mode with a type", { file: pipe("fifo", { mode: 0o10_644 }) }],
  ["a negative uid", { file: pipe("fifo", { uid: -1 }) }],
  ["a gid of 33 bits", { file: pipe("fifo", { gid: 2 ** 32 }) }],
  ["half a second", { file: pipe("fifo", { mtime: { seconds: 0.5, nanoseconds: 0 } }) }],
  ["a billion nanoseconds", { file: pipe("fifo", { mtime: { seconds: 0, nanoseconds: 1e9 } }) }],
  ["an empty target", { link: symlink("") }],
  ["a target with a zero byte", { link: symlink("a\0b") }],
  ["a major number of 13 bits", { device: device("block-device", [4096, 0]) }],
  ["an xattr without name", { file: pipe("fifo", { xattrs: new Map([["", Buffer.alloc(1)]]) }) }],
  ["a root with impossible attributes", directory({}, { mode: -1 })],
  ["a chunk in a blob that is not listed", { file: fileIn(undefined) }],
  ["a chunk behind the end of its blob", { file: wrongChunk({ offset: 4096 }) }],
  ["a chunk number behind the last", { file: wrongChunk({ index: 1 }) }],
  ["a chunk that is not aligned", { file: wrongChunk({ offset: 1 }) }],
  ["a digest of 20 bytes", { file: wrongChunk({ digest: Buffer.alloc(20) }) }],
  ["a chunk of a wrong size", { file: wrongChunk({ size: 2 }) }],
  ["too few chunks", { file: fileIn(blobs(1)[0], { size: 2 ** 20 + 1 }) }],
])("refuses a tree with %s, and writes nothing", async (_what, tree) => {
  const sink = memorySink();
  const root = "kind" in tree ? (tree as DirectoryInode) : directory(tree);

  await expect(writeBootstrap(sink, { root, blobs: blobs(1) })).rejects.toMatchObject({
    code: "VALIDATION_ERROR",
  });
  expect(sink.bytes()).toHaveLength(0);
});

function wrongChunk(change: Partial<FileInode["chunks"][number]>): FileInode {
  const [blob] = blobs(1);
  const file = fileIn(blob);
  const [chunk] = file.chunks;
  return { ...file, chunks: chunk === undefined ? [] : [{ ...chunk, ...change }] };
}

it.each<[string, Partial<BootstrapBlob>]>([
  ["no digest as its name", { id: "latest" }],
  ["no chunks", { chunkCount: 0 }],
  ["a size that is not aligned", { uncompressedSize: 4097 }],
  ["digests of BLAKE3", { digester: "blake3" }],
  ["chunks that are not aligned", { features: 0x4000_0000 }],
  ["compressed chunks at unknown places", { compressor: "zstd" }],
])("refuses a blob with %s", async (_what, change) => {
  const [blob] = blobs(1);
  if (blob === undefined) throw new Error("there is one");

  await expect(write(directory({}), [{ ...blob, ...change }])).rejects.toMatchObject({
    code: "VALIDATION_ERROR",
  });
});

it("refuses one blob twice, wrong chunk sizes and files to prefetch that are not in the tree", async () => {
  const invalid = { code: "VALIDATION_ERROR" };
  const sink = memorySink();
  const root = directory({});

  await expect(write(root, [...blobs(1), ...blobs(1)])).rejects.toMatchObject(invalid);
  await expect(writeBootstrap(sink, { root, blobs: [], chunkSize: 6000 })).rejects.toMatchObject(
    invalid,
  );
  await expect(
    writeBootstrap(sink, { root, blobs: [], prefetch: [fileIn(undefined)] }),
  ).rejects.toMatchObject(invalid);
});

it("stops when it is aborted", async () => {
  const builder = imageBuilder();
  const reason = new Error("enough");

  await expect(
    writeBootstrap(
      memorySink(),
      { root: directory({ file: await builder.file(Buffer.alloc(0)) }), blobs: [] },
      { signal: AbortSignal.abort(reason) },
    ),
  ).rejects.toBe(reason);
});
