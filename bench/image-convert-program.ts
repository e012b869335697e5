// Converts the tar of a layer in a process of its own: `node image-convert.ts TAR DIFF_ID DIRECTORY`.
import { createReadStream } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import {
  convertLayers,
  type LayerTar,
} from "../packages/image-nydus/src/convert/convert-layers.ts";
import { fileSink } from "../packages/image-nydus/src/rafs/byte-sink.ts";
import { writeBootstrap } from "../packages/image-nydus/src/rafs/write-bootstrap.ts";

/** What one conversion took. */
export interface ConvertMeasurement {
  readonly durationMs: number;
}

const [tar = "", diffId = "", directory = ""] = process.argv.slice(2);
await mkdir(directory, { recursive: true });
const startedAt = performance.now();
await using data = await open(join(directory, "blob"), "wx");
await using metadata = await open(join(directory, "bootstrap"), "wx");
async function* layers(): AsyncGenerator<LayerTar> {
  yield { diffId, content: createReadStream(tar, { highWaterMark: 524_288 }) };
}
const { root, blob } = await convertLayers(layers(), {
  signal: new AbortController().signal,
  blob: fileSink(data),
  findChunk: () => undefined,
});
await writeBootstrap(fileSink(metadata), { root, blobs: blob === undefined ? [] : [blob] });
const measurement: ConvertMeasurement = { durationMs: performance.now() - startedAt };
console.log(JSON.stringify(measurement));
