import type { Abortable } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
import { layerDecompressor } from "../registry/layer-decompressor.ts";
import type { TarEntry } from "../tar/tar-entry.ts";
import { readTar } from "../tar/tar-reader.ts";

/** What the bootstrap layer of a Nydus image holds. */
export interface BootstrapLayer {
  /** Metadata of the file system */
  readonly bootstrap: Buffer;
  /** Chunk tables by id of their blob, as `.blob.meta` files; not every image brings them */
  readonly blobMetas: ReadonlyMap<string, Buffer>;
}

export interface BootstrapLayerOptions extends Abortable {
  /** As the manifest says; the bytes themselves decide when they can. @default "" */
  readonly mediaType?: string | undefined;
  /** Bytes of the bootstrap. @default 512 MiB */
  readonly maxBootstrapBytes?: number | undefined;
  /** Bytes of all chunk tables together; those beyond are left out and fetched when needed. @default 64 MiB */
  readonly maxMetaBytes?: number | undefined;
}

const mebibyte = 1_048_576;
/** Files and directories in the layer: one for each of at most 254 blobs, and a few */
const maxEntries = 1_024;
const metaPattern = /^image\/([0-9a-f]{64})\.blob\.meta$/;

/**
 * Takes the metadata out of the bootstrap layer, a tar that mostly is compressed. What else is in there is passed over. The
 * stream is read to its end, so that whoever checks its digest sees all of it.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` when it holds no bootstrap, two, one that is no file, or more than allowed;
 *   what the stream throws
 */
export async function readBootstrapLayer(
  stream: AsyncIterable<Uint8Array>,
  options: BootstrapLayerOptions = {},
): Promise<BootstrapLayer> {
  const { maxBootstrapBytes = 512 * mebibyte, maxMetaBytes = 64 * mebibyte, signal } = options;
  const decompress = layerDecompressor(options.mediaType ?? "", {
    maxBytes: maxBootstrapBytes + 2 * maxMetaBytes + mebibyte,
  });
  const blobMetas = new Map<string, Buffer>();
  let bootstrap: Buffer | undefined;
  let metaBytes = 0;
  const limits = { maxEntries, maxEntryBytes: Math.max(maxBootstrapBytes, 2 * maxMetaBytes) };
  for await (const entry of readTar(decompress(stream), { signal, limits })) {
    const path = entry.path.replace(/^\.?\/+|\/+$/g, "");
    const [, blobId] = metaPattern.exec(path) ?? [];
    if (path === "image/image.boot" || path === "image.boot") {
      if (bootstrap !== undefined) throw wrongLayer("it has two bootstraps");
      if (entry.kind !== "file") throw wrongLayer(`its bootstrap is a ${entry.kind}`);
      if (entry.size > maxBootstrapBytes) {
        throw wrongLayer(`its bootstrap has ${entry.size} bytes, more than ${maxBootstrapBytes}`);
      }
      bootstrap = await readContent(entry);
    } else if (blobId !== undefined && entry.kind === "file") {
      if (blobMetas.has(blobId)) throw wrongLayer(`it has two chunk tables of blob ${blobId}`);
      if (metaBytes + entry.size > maxMetaBytes) continue;
      metaBytes += entry.size;
      blobMetas.set(blobId, await readContent(entry));
    }
  }
  if (bootstrap === undefined) throw wrongLayer("it has no file image/image.boot");
  return { bootstrap, blobMetas };
}

async function readContent(entry: TarEntry): Promise<Buffer> {
  // Memory that is not written to is not used: a size that is a lie costs nothing.
  const bytes = Buffer.allocUnsafeSlow(entry.size);
  let position = 0;
  for await (const piece of entry.content) {
    if (piece.kind === "data") {
      position += piece.bytes.copy(bytes, position);
    } else {
      bytes.fill(0, position, position + piece.size);
      position += piece.size;
    }
  }
  return bytes;
}

function wrongLayer(problem: string): LongshoreError {
  return new LongshoreError("VALIDATION_ERROR", `The bootstrap layer cannot be used: ${problem}.`, {
    details: { field: "layer", expected: "a tar with image/image.boot", problem },
  });
}
