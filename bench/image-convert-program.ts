// Converts a layer in a process of its own: `node image-convert-program.js LAYER DIFF_ID DIRECTORY`.
import { createReadStream } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import {
  convertLayers,
  type LayerTar,
} from "../packages/image-nydus/src/convert/convert-layers.ts";
import { fileSink } from "../packages/image-nydus/src/rafs/byte-sink.ts";
import { writePackedBootstrap } from "../packages/image-nydus/src/rafs/write-packed-bootstrap.ts";
import { layerDecompressor } from "../packages/image-nydus/src/registry/layer-decompressor.ts";

/** What one conversion took. */
export interface ConvertMeasurement {
  readonly durationMs: number;
}

const [layer = "", diffId = "", directory = ""] = process.argv.slice(2);
await mkdir(directory, { recursive: true });
const startedAt = performance.now();
await using data = await open(join(directory, "blob"), "wx");
await using metadata = await open(join(directory, "bootstrap"), "wx");
async function* layers(): AsyncGenerator<LayerTar> {
  const stored = createReadStream(layer, { highWaterMark: 524_288 });
  yield { diffId, content: layerDecompressor("")(stored) };
}
const { tree, blob } = await convertLayers(layers(), {
  signal: new AbortController().signal,
  blob: fileSink(data),
  findChunk: () => undefined,
});
await writePackedBootstrap(fileSink(metadata), { tree, blobs: blob === undefined ? [] : [blob] });
const measurement: ConvertMeasurement = { durationMs: performance.now() - startedAt };
console.log(JSON.stringify(measurement));
