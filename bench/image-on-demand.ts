import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { DebianImage } from "./image-debian.ts";
import type { RunProgram } from "./image-programs.ts";
import type { ShapedMeasurement, ShapedMeasurements } from "./image-shaped-program.ts";
import { percentile } from "./percentile.ts";
import type { Row } from "./table.ts";

const megabyte = 1_000_000;

export interface OnDemandBenchmark {
  readonly directory: string;
  readonly image: DebianImage;
  readonly runProgram: RunProgram;
}

/** From nothing to the end of a small Python program, over a network of 50 Mbit/s: on demand, and with all of the image. */
export async function benchOnDemand(benchmark: OnDemandBenchmark): Promise<Row[]> {
  const { directory, image, runProgram } = benchmark;
  const place = join(directory, "shaped");
  await mkdir(place);
  const measured = (await runProgram(
    "shaped",
    { network: "own" },
    `${image.layout}:${image.tag}`,
    place,
  )) as ShapedMeasurements;
  const [whole, onDemand] = [medians(measured.whole), medians(measured.onDemand)];
  const task = "50 Mbit/s, until python3 -c 'print(1)' has run";
  return [
    { name: `${task}: whole image`, value: whole.durationMs, unit: "ms" },
    {
      name: `${task}: on demand`,
      value: onDemand.durationMs,
      unit: "ms",
      ratio: onDemand.durationMs / whole.durationMs,
      target: "<= 0.24x",
    },
    { name: "bytes until then: whole image", value: whole.bytes / megabyte, unit: "MB" },
    {
      name: "bytes until then: on demand",
      value: onDemand.bytes / megabyte,
      unit: "MB",
      ratio: onDemand.bytes / whole.bytes,
      target: "<= 0.20x",
    },
  ];
}

function medians(samples: readonly ShapedMeasurement[]): ShapedMeasurement {
  return {
    durationMs: percentile(
      samples.map(({ durationMs }) => durationMs),
      0.5,
    ),
    bytes: percentile(
      samples.map(({ bytes }) => bytes),
      0.5,
    ),
  };
}
