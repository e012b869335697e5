import { mkdir, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { findCommand } from "@longshore/core";
import type { ConvertMeasurement } from "./image-convert-program.ts";
import type { DebianImage } from "./image-debian.ts";
import type { RunProgram } from "./image-programs.ts";
import { run } from "./run.ts";
import { percentile } from "./percentile.ts";
import type { Row } from "./table.ts";

const rounds = 5;

export interface ConversionBenchmark {
  readonly directory: string;
  readonly image: DebianImage;
  readonly runProgram: RunProgram;
}

/** From an uncompressed layer to metadata and data of RAFS v6: ours against Nydus' own program. */
export async function benchConversions(benchmark: ConversionBenchmark): Promise<Row[]> {
  const { directory, image, runProgram } = benchmark;
  const peer = await findNydusImage();
  const place = join(directory, "converted");
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    if (peer !== undefined) theirs.push(await convertByPeer(peer.path, image.tar, place));
    await run("sync");
    const measured = (await runProgram(
      "convert",
      { network: "host" },
      image.tar,
      image.diffId,
      place,
    )) as ConvertMeasurement;
    ours.push(measured.durationMs);
    await rm(place, { recursive: true });
  }
  const mine = percentile(ours, 0.5);
  const conversion = { name: "conversion of the layer", value: mine, unit: "ms" };
  if (peer === undefined) {
    return [{ name: "nydus-image create: not there, nothing to compare with" }, conversion];
  }
  const theirMs = percentile(theirs, 0.5);
  const name = `nydus-image create (${peer.profile} build)`;
  return [
    { name, value: theirMs, unit: "ms" },
    { ...conversion, ratio: mine / theirMs, target: "<= 1.20x" },
  ];
}

/** The program on the PATH, or the one that scripts/nydus-conformance.ts keeps, which is built to find faults. */
async function findNydusImage(): Promise<
  { readonly path: string; readonly profile: string } | undefined
> {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const built = join(cache, "longshore", "nydus-rs-2.2.0", "bin");
  const path = await findCommand("nydus-image", `${process.env["PATH"] ?? ""}:${built}`);
  if (path === undefined) return undefined;
  const version = await run(path, "--version");
  return { path, profile: /^Profile:\s*(\S+)/mu.exec(version)?.[1] ?? "unknown" };
}

async function convertByPeer(program: string, tar: string, place: string): Promise<number> {
  await mkdir(place, { recursive: true });
  await run("sync");
  const startedAt = performance.now();
  const format = ["--type", "tar-rafs", "--fs-version", "6", "--chunk-size", "0x100000"];
  const algorithms = ["--compressor", "none", "--digester", "sha256"];
  const places = ["--bootstrap", join(place, "bootstrap"), "--blob", join(place, "blob"), tar];
  await run(program, "create", ...format, ...algorithms, ...places);
  const durationMs = performance.now() - startedAt;
  await rm(place, { recursive: true });
  return durationMs;
}
