import { createHash } from "node:crypto";
import {
  blobWriter,
  type BlobWriterOptions,
  type FinishedBlob,
} from "../../src/rafs/blob-writer.ts";
import type { BootstrapImage } from "../../src/rafs/bootstrap-image.ts";
import { writeBootstrap } from "../../src/rafs/write-bootstrap.ts";
import type {
  ByteString,
  ChunkRef,
  DirectoryInode,
  FileAttributes,
  FileInode,
  Inode,
} from "../../src/tree/inode.ts";
import { memorySink } from "./memory-sink.ts";

/** Attributes that a file has unless told otherwise. */
export type Attributes = Partial<Omit<FileAttributes, "kind">>;

/** An image with its blobs in memory. */
export interface BuiltImage extends BootstrapImage {
  readonly chunkSize: number;
  readonly blobs: readonly FinishedBlob[];
  /** Bytes of each blob, in order */
  readonly blobBytes: readonly Buffer[];
  readonly bootstrap: Buffer;
  /** Digest of a file's content, hex */
  sha256Of(file: FileInode): string;
}

/** Makes small images. */
export interface ImageBuilder {
  /** A file with its chunks in one of the blobs; equal chunks are stored once in each. */
  file(content: Buffer, attributes?: Attributes, blob?: number): Promise<FileInode>;
  finish(root: DirectoryInode): Promise<BuiltImage>;
}

export interface ImageBuilderOptions extends Pick<
  BlobWriterOptions,
  "chunkSize" | "compressor" | "toc"
> {
  /** @default 1 */
  readonly blobs?: number;
}

const defaults = {
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtime: { seconds: 1_700_000_000, nanoseconds: 123_456_789 },
  xattrs: new Map<ByteString, Buffer>(),
};

export function imageBuilder(options: ImageBuilderOptions = {}): ImageBuilder {
  const { chunkSize = 1_048_576, blobs: count = 1, ...blobOptions } = options;
  const blobs = Array.from({ length: count }, (_, number) => {
    const sink = memorySink();
    const writer = blobWriter(sink, { ...blobOptions, chunkSize, name: `blob-${number}` });
    return { sink, writer, known: new Map<string, ChunkRef>() };
  });
  const digests = new Map<FileInode, string>();

  return {
    async file(content, attributes = {}, blob = 0) {
      const target = blobs[blob];
      if (target === undefined) throw new RangeError(`no blob ${blob}`);
      const chunks: ChunkRef[] = [];
      for (let start = 0; start < content.length; start += chunkSize) {
        const bytes = content.subarray(start, start + chunkSize);
        const digest = createHash("sha256").update(bytes).digest();
        const known = target.known.get(digest.toString("hex"));
        const chunk = known ?? (await target.writer.append(bytes, digest));
        target.known.set(digest.toString("hex"), chunk);
        chunks.push(chunk);
      }
      const file: FileInode = {
        ...defaults,
        ...attributes,
        kind: "file",
        size: content.length,
        chunks,
      };
      digests.set(file, createHash("sha256").update(content).digest("hex"));
      return file;
    },
    async finish(root) {
      const used = blobs.filter(({ writer }) => writer.chunkCount > 0);
      const finished: FinishedBlob[] = [];
      for (const { writer } of used) finished.push(await writer.finish());
      const image = { root, chunkSize, blobs: finished };
      const sink = memorySink();
      await writeBootstrap(sink, image);
      return {
        ...image,
        blobBytes: used.map(({ sink: blobSink }) => blobSink.bytes()),
        bootstrap: sink.bytes(),
        sha256Of: (file) => digests.get(file) ?? "",
      };
    },
  };
}

export function directory(
  children: Readonly<Record<ByteString, Inode>> | ReadonlyMap<ByteString, Inode>,
  attributes: Attributes = {},
): DirectoryInode {
  const entries = children instanceof Map ? children : new Map(Object.entries(children));
  return { ...defaults, mode: 0o755, ...attributes, kind: "directory", children: new Map(entries) };
}

export function symlink(target: ByteString, attributes: Attributes = {}): Inode {
  return { ...defaults, mode: 0o777, ...attributes, kind: "symlink", target };
}

export function device(
  kind: "character-device" | "block-device",
  [major, minor]: readonly [number, number],
  attributes: Attributes = {},
): Inode {
  return { ...defaults, ...attributes, kind, device: { major, minor } };
}

export function pipe(kind: "fifo" | "socket", attributes: Attributes = {}): Inode {
  return { ...defaults, ...attributes, kind };
}
