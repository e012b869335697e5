import { pipeline, type Transform } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { mediaTypes } from "./media-types.ts";
import { invalid } from "./registry-errors.ts";
import { zstdFrames } from "./zstd-frames.ts";

/** How the bytes of a layer are packed. */
export type Compression = "none" | "gzip" | "zstd";

export interface LayerDecompressorOptions {
  /** Uncompressed bytes that are let through; more is an error. @default Infinity */
  readonly maxBytes?: number | undefined;
}

/** Turns the bytes of a layer as they are stored into those of its tar. */
export type LayerDecompressor = (
  source: AsyncIterable<Uint8Array>,
) => AsyncGenerator<Buffer, void, undefined>;

/** Enough to see the mark of a tar header. */
const sniffBytes = 262;
/**
 * Decompression runs ahead of its reader, in another thread, by a piece or a little more. The longer a piece lives, the
 * longer its memory stays when it is done with.
 */
const streamOptions = { chunkSize: 128 * 1_024, readableHighWaterMark: 128 * 1_024 };

/**
 * The way back from a layer's stored bytes to its tar: gzip (of several members, too, and so eStargz), zstd (of several
 * frames, too, and so zstd:chunked) or nothing at all. What the bytes begin with counts, whatever the media type says;
 * that only decides for what could be both.
 *
 * The stream fails with `VALIDATION_ERROR` for damaged data, for a stream that is cut off, and past `maxBytes`. Errors of
 * the source are passed on. Ending the reading early ends the source.
 */
export function layerDecompressor(
  mediaType: string,
  options: LayerDecompressorOptions = {},
): LayerDecompressor {
  const { maxBytes = Number.POSITIVE_INFINITY } = options;
  return async function* decompress(source) {
    const failures = new Set<unknown>();
    const { head, all } = await peek(watched(source, failures), sniffBytes);
    let size = 0;
    for await (const piece of decompressed(sniffCompression(head, mediaType), all, failures)) {
      size += piece.length;
      if (size > maxBytes) throw invalid("layer", `is larger than ${maxBytes} bytes uncompressed`);
      yield piece;
    }
  };
}

/** How bytes are packed, by what they begin with. */
export function sniffCompression(head: Uint8Array, mediaType = ""): Compression {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength);
  const isPlainType = mediaType === mediaTypes.ociLayer || mediaType === mediaTypes.dockerLayer;
  if (isPlainType && bytes.toString("latin1", 257, 262) === "ustar") return "none";
  if (bytes.length >= 2 && bytes[0] === 0x1f && bytes[1] === 0x8b) return "gzip";
  if (bytes.length < 4) return "none";
  const magic = bytes.readUInt32LE(0);
  const isZstd = magic === 0xfd2fb528 || (magic & 0xfffffff0) >>> 0 === 0x184d2a50;
  return isZstd ? "zstd" : "none";
}

async function* decompressed(
  compression: Compression,
  source: AsyncIterable<Buffer>,
  failures: Set<unknown>,
): AsyncGenerator<Buffer, void, undefined> {
  switch (compression) {
    case "none":
      yield* source;
      return;
    case "gzip":
      yield* through(source, createGunzip(streamOptions), failures);
      return;
    case "zstd":
      yield* through(
        watched(zstdFrames(source), failures),
        createZstdDecompress(streamOptions),
        failures,
      );
      return;
    default:
      compression satisfies never;
  }
}

async function* through(
  source: AsyncIterable<Buffer>,
  transform: Transform,
  failures: Set<unknown>,
): AsyncGenerator<Buffer, void, undefined> {
  // The transform is destroyed with whatever goes wrong in the source: reading it shows the error.
  pipeline(source, transform, () => {});
  try {
    for await (const piece of transform) yield piece as Buffer;
  } catch (error) {
    if (failures.has(error)) throw error;
    throw invalid("layer", "its compressed data is damaged or cut off", { cause: error });
  }
}

/** Passes a source on and notes its error, so that it can be told from one of the decompression. */
async function* watched<T>(
  source: AsyncIterable<T>,
  failures: Set<unknown>,
): AsyncGenerator<T, void, undefined> {
  try {
    yield* source;
  } catch (error) {
    failures.add(error);
    throw error;
  }
}

interface Peeked {
  /** At least the wanted number of bytes, when there are so many */
  readonly head: Buffer;
  /** Everything, with the head; to be read once, to the end or to an early return */
  readonly all: AsyncIterable<Buffer>;
}

/** Reads the beginning of a stream without taking it away. */
async function peek(source: AsyncIterable<Uint8Array>, bytes: number): Promise<Peeked> {
  const iterator = source[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  while (head.length < bytes) {
    const next = await iterator.next();
    if (next.done === true) break;
    head = head.length === 0 ? Buffer.from(next.value) : Buffer.concat([head, next.value]);
  }
  async function* all(): AsyncGenerator<Buffer, void, undefined> {
    try {
      if (head.length > 0) yield head;
      for (;;) {
        const next = await iterator.next();
        if (next.done === true) return;
        const { buffer, byteOffset, byteLength } = next.value;
        yield Buffer.from(buffer, byteOffset, byteLength);
      }
    } finally {
      await iterator.return?.();
    }
  }
  return { head, all: all() };
}
