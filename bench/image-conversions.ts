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

/** From a layer to metadata and data of RAFS v6, as it is in a registry and unpacked: ours against Nydus' own program. */
export async function benchConversions(benchmark: ConversionBenchmark): Promise<Row[]> {
  const { image } = benchmark;
  const peer = await findNydusImage();
  const missing = { name: "nydus-image create: not there, nothing to compare with" };
  return [
    ...(peer === undefined ? [missing] : []),
    ...(await benchForm(benchmark, peer, { name: "gzip", path: image.layer, type: "targz-rafs" })),
    ...(await benchForm(benchmark, peer, { name: "tar", path: image.tar, type: "tar-rafs" })),
  ];
}

interface LayerForm {
  readonly name: string;
  readonly path: string;
  /** As the peer calls it */
  readonly type: string;
}

async function benchForm(
  { directory, image, runProgram }: ConversionBenchmark,
  peer: NydusImage | undefined,
  form: LayerForm,
): Promise<Row[]> {
  const place = join(directory, "converted");
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    if (peer !== undefined) theirs.push(await convertByPeer(peer.path, form, place));
    await run("sync");
    const measured = (await runProgram(
      "convert",
      { network: "host" },
      form.path,
      image.diffId,
      place,
    )) as ConvertMeasurement;
    ours.push(measured.durationMs);
    await rm(place, { recursive: true });
  }
  const value = percentile(ours, 0.5);
  const conversion = { name: `conversion of a layer, ${form.name}`, value, unit: "ms" };
  if (peer === undefined) return [conversion];
  const peerMs = percentile(theirs, 0.5);
  // One that is built to find faults takes ten times as long: nothing to be measured by.
  const isFast = peer.profile === "release";
  const name = `nydus-image create, ${form.name} (${peer.profile} build)`;
  return [
    { name, value: peerMs, unit: "ms" },
    { ...conversion, ratio: value / peerMs, ...(isFast && { target: "<= 1.20x" }) },
  ];
}

interface NydusImage {
  readonly path: string;
  /** How it was built: `release` or `debug` */
  readonly profile: string;
}

/** The program on the PATH, or the one that scripts/nydus-conformance.ts keeps, which is built to find faults. */
async function findNydusImage(): Promise<NydusImage | undefined> {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const built = join(cache, "longshore", "nydus-rs-2.2.0", "bin");
  const path = await findCommand("nydus-image", `${process.env["PATH"] ?? ""}:${built}`);
  if (path === undefined) return undefined;
  const version = await run(path, "--version");
  return { path, profile: /^Profile:\s*(\S+)/mu.exec(version)?.[1] ?? "unknown" };
}

async function convertByPeer(program: string, layer: LayerForm, place: string): Promise<number> {
  await mkdir(place, { recursive: true });
  await run("sync");
  const startedAt = performance.now();
  const format = ["--type", layer.type, "--fs-version", "6", "--chunk-size", "0x100000"];
  const algorithms = ["--compressor", "none", "--digester", "sha256"];
  const places = ["--bootstrap", join(place, "bootstrap"), "--blob", join(place, "blob")];
  await run(program, "create", ...format, ...algorithms, ...places, layer.path);
  const durationMs = performance.now() - startedAt;
  await rm(place, { recursive: true });
  return durationMs;
}
