import { createHash } from "node:crypto";
import { pipeline } from "node:stream/promises";
import { createGzip, createZstdCompress } from "node:zlib";
import type { ByteSink } from "../rafs/byte-sink.ts";
import type { Descriptor } from "../registry/manifest.ts";
import { mediaTypes } from "../registry/media-types.ts";

/** How a layer is stored. */
export type LayerCompression = "gzip" | "zstd" | "none";

/** A layer that was written. */
export interface PackedLayer {
  readonly descriptor: Descriptor;
  /** Digest of the uncompressed bytes, as configs name it */
  readonly diffId: string;
}

/** Compressors get pieces of this size whatever the archive comes in: their output may depend on it */
const pieceSize = 262_144;

const types: Readonly<Record<LayerCompression, string>> = {
  gzip: mediaTypes.ociLayerGzip,
  zstd: mediaTypes.ociLayerZstd,
  none: mediaTypes.ociLayer,
};

/** Compresses an archive into a file and describes it as a layer. Nothing in there tells when it was done. */
export async function packLayer(
  tar: AsyncIterable<Buffer>,
  sink: ByteSink,
  compression: LayerCompression,
): Promise<PackedLayer> {
  const plain = createHash("sha256");
  const stored = createHash("sha256");
  let size = 0;
  const source = inPieces(tar, (piece) => {
    plain.update(piece);
  });
  const write = async (pieces: AsyncIterable<Buffer>): Promise<void> => {
    for await (const piece of pieces) {
      stored.update(piece);
      size += piece.length;
      await sink.write(piece);
    }
  };
  switch (compression) {
    case "none":
      await write(source);
      break;
    case "gzip":
      await pipeline(source, createGzip(), write);
      break;
    case "zstd":
      await pipeline(source, createZstdCompress(), write);
      break;
    default:
      compression satisfies never;
  }
  return {
    descriptor: {
      mediaType: types[compression],
      digest: `sha256:${stored.digest("hex")}`,
      size,
    },
    diffId: `sha256:${plain.digest("hex")}`,
  };
}

/** The same bytes in pieces of one size, the last one excepted, each with memory of its own. */
async function* inPieces(
  source: AsyncIterable<Buffer>,
  onPiece: (piece: Buffer) => void,
): AsyncGenerator<Buffer, void, undefined> {
  let piece = Buffer.allocUnsafeSlow(pieceSize);
  let used = 0;
  for await (const bytes of source) {
    for (let from = 0; from < bytes.length;) {
      const copied = bytes.copy(piece, used, from);
      from += copied;
      used += copied;
      if (used < pieceSize) continue;
      onPiece(piece);
      yield piece;
      piece = Buffer.allocUnsafeSlow(pieceSize);
      used = 0;
    }
  }
  if (used === 0) return;
  const last = piece.subarray(0, used);
  onPiece(last);
  yield last;
}
