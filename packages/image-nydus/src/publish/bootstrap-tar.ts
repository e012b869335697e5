import type { FileHandle } from "node:fs/promises";
import { alignUp } from "../erofs/align-up.ts";
import { blobMetaHeaderSize } from "../rafs/blob-meta-header.ts";
import { decompress } from "../rafs/decompress.ts";
import type { ImageBlob } from "../rafs/readable-filesystem.ts";
import { encodeTarHeader, paddingOf, tarBlockSize } from "./encode-tar-header.ts";
import { filePieces, readBytes } from "./file-pieces.ts";

/** What goes into the bootstrap layer of a Nydus image. */
export interface BootstrapParts {
  readonly bootstrap: { readonly file: FileHandle; readonly size: number };
  /** Chunk tables by id of their blob */
  readonly blobMetas: ReadonlyMap<string, Buffer>;
}

/** The archive of a bootstrap layer, not compressed: metadata and chunk tables, so that a mount needs nothing else at first. */
export async function* bootstrapTar(
  parts: BootstrapParts,
): AsyncGenerator<Buffer, void, undefined> {
  const { file, size } = parts.bootstrap;
  yield entryHeader("image/", { kind: "directory", mode: 0o755, size: 0 });
  yield entryHeader("image/image.boot", { kind: "file", mode: 0o444, size });
  yield* filePieces(file, size);
  yield Buffer.alloc(paddingOf(size));
  for (const [blobId, bytes] of parts.blobMetas) {
    const { length } = bytes;
    yield entryHeader(`image/${blobId}.blob.meta`, { kind: "file", mode: 0o444, size: length });
    yield bytes;
    yield Buffer.alloc(paddingOf(length));
  }
  yield Buffer.alloc(2 * tarBlockSize);
}

/** The chunk table of a blob file as a `.blob.meta` file: plain, padded to 4 KiB, its header behind it. */
export async function readBlobMetaFile(file: FileHandle, blob: ImageBlob): Promise<Buffer> {
  const { offset, compressedSize, uncompressedSize, compressor } = blob.chunkTable;
  const length = compressedSize + blobMetaHeaderSize;
  const stored = await readBytes(file, { offset, length });
  const table = decompress(stored.subarray(0, compressedSize), compressor, uncompressedSize);
  const padding = Buffer.alloc(alignUp(uncompressedSize, 4096) - uncompressedSize);
  return Buffer.concat([table, padding, stored.subarray(compressedSize)]);
}

function entryHeader(
  path: string,
  entry: { readonly kind: "file" | "directory"; readonly mode: number; readonly size: number },
): Buffer {
  return encodeTarHeader({
    ...entry,
    path,
    uid: 0,
    gid: 0,
    mtime: { seconds: 0, nanoseconds: 0 },
    linkPath: "",
    device: { major: 0, minor: 0 },
    xattrs: new Map(),
  });
}
