import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { RunProgram } from "./image-programs.ts";
import { run } from "./run.ts";
import type { PullMeasurement } from "./image-pull-program.ts";
import { percentile } from "./percentile.ts";
import type { Row } from "./table.ts";

const rounds = 5;
const megabyte = 1_000_000;

export interface PullBenchmark {
  readonly directory: string;
  /** In a registry on this machine */
  readonly image: string;
  readonly runProgram: RunProgram;
}

/** From a registry to a directory with the image's files: ours against two programs that do it in two steps. */
export async function benchPulls({ directory, image, runProgram }: PullBenchmark): Promise<Row[]> {
  const peers: number[] = [];
  const ours: PullMeasurement[] = [];
  for (let round = 0; round < rounds; round += 1) {
    peers.push(await inFreshDirectory(directory, (place) => pullByPeers(image, place)));
    ours.push(
      await inFreshDirectory(
        directory,
        async (place) =>
          (await runProgram("pull", { network: "host" }, image, place)) as PullMeasurement,
      ),
    );
  }
  const median = (samples: readonly number[]): number => percentile(samples, 0.5);
  const peer = median(peers);
  const inProcess = median(ours.map(({ durationMs }) => durationMs));
  const withStart = median(ours.map(({ sinceStartMs }) => sinceStartMs));
  return [
    { name: "skopeo copy + umoci unpack", value: peer, unit: "ms" },
    {
      name: `pull + mount (${ours[0]?.method ?? ""})`,
      value: inProcess,
      unit: "ms",
      ratio: inProcess / peer,
      target: "<= 0.60x",
    },
    {
      name: "pull + mount, with the start of Node",
      value: withStart,
      unit: "ms",
      ratio: withStart / peer,
    },
    {
      name: "pull + mount: most memory of the process",
      value: Math.max(...ours.map(({ peakBytes }) => peakBytes)) / megabyte,
      unit: "MB",
      target: "< 250 MB",
    },
  ];
}

async function pullByPeers(image: string, place: string): Promise<number> {
  const layout = join(place, "layout:image");
  const startedAt = performance.now();
  const source = ["--src-tls-verify=false", `docker://${image}`];
  await run("skopeo", "copy", "--quiet", ...source, `oci:${layout}`);
  await run("umoci", "unpack", "--image", layout, join(place, "bundle"));
  return performance.now() - startedAt;
}

async function inFreshDirectory<T>(
  directory: string,
  measure: (place: string) => Promise<T>,
): Promise<T> {
  const place = join(directory, "round");
  await mkdir(place, { recursive: true });
  // What the one wrote must not be put on the disk in the time of the other.
  await run("sync");
  try {
    return await measure(place);
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}
