import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { blobWriter } from "../../src/rafs/blob-writer.ts";
import { writeBootstrap } from "../../src/rafs/write-bootstrap.ts";
import type { DirectoryInode, FileInode } from "../../src/tree/inode.ts";
import { memorySink } from "./memory-sink.ts";

const attributes = {
  uid: 0,
  gid: 0,
  mtime: { seconds: 1_700_000_000, nanoseconds: 0 },
  xattrs: new Map<string, Buffer>(),
};

it("writes the bytes of a known image that kernels mount and fsck.erofs accepts", async () => {
  const content = Buffer.from("hello, nydus\n");
  const blobSink = memorySink();
  const writer = blobWriter(blobSink);
  const chunk = await writer.append(content, createHash("sha256").update(content).digest());
  const blob = await writer.finish();
  const file: FileInode = { ...attributes, kind: "file", mode: 0o644, size: 13, chunks: [chunk] };
  const root: DirectoryInode = {
    ...attributes,
    kind: "directory",
    mode: 0o755,
    children: new Map([["hello", file]]),
  };
  const sink = memorySink();

  const written = await writeBootstrap(sink, { root, blobs: [blob] });

  expect(blobSink.bytes()).toHaveLength(8208);
  expect(blob.id).toBe("c9a9a96fdf4cbf8e28a8a142596e163f9dd28cae7949b21b0934dc5eb61c44aa");
  expect(sink.bytes()).toHaveLength(20_480);
  expect(written).toMatchObject({
    size: 20_480,
    digest: "8daf4c653dd60cdd5b7b3353a1f20df8e414b36c687e24213f68f0dc03174045",
    inodeCount: 2,
    chunkCount: 1,
  });
  expect(createHash("sha256").update(sink.bytes()).digest("hex")).toBe(written.digest);
});
