// Pulls an image in two forms over a slow network, in a process with a network of its own:
// `node image-shaped-program.js LAYOUT:TAG DIRECTORY`.
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { openNydusImageStore } from "../packages/image-nydus/src/index.ts";
import { startDockerRegistry } from "../packages/image-nydus/test/registry/docker-registry.ts";
import { run } from "./run.ts";

/** One start of a program out of an image that was not there. */
export interface ShapedMeasurement {
  /** Until the program has ended */
  readonly durationMs: number;
  /** That went through the network, with all headers */
  readonly bytes: number;
}

export interface ShapedMeasurements {
  readonly onDemand: readonly ShapedMeasurement[];
  readonly whole: readonly ShapedMeasurement[];
}

const rounds = 3;

/** Bytes that went through the network so far. */
async function networkBytes(): Promise<number> {
  const line = /^\s*lo:\s*(\d+)/mu.exec(await readFile("/proc/self/net/dev", "utf8"));
  return Number(line?.[1]);
}

async function startProgram(image: string, place: string): Promise<ShapedMeasurement> {
  const root = join(place, "root");
  await mkdir(root, { recursive: true });
  try {
    const bytesBefore = await networkBytes();
    const startedAt = performance.now();
    await using store = await openNydusImageStore({ directory: join(place, "store") });
    await store.pullImage({ image: { image } });
    await using _mount = await store.mount(image, root);
    const printed = await run("chroot", root, "/usr/bin/python3", "-c", "print(1)");
    const durationMs = performance.now() - startedAt;
    if (printed !== "1\n") throw new Error(`Python printed ${printed}`);
    return { durationMs, bytes: (await networkBytes()) - bytesBefore };
  } finally {
    await rm(place, { recursive: true });
  }
}

const [layout = "", directory = ""] = process.argv.slice(2);
await run("ip", "link", "set", "lo", "mtu", "1500", "up");
await using registry = await startDockerRegistry();
const whole = `${registry.host}/bench/debian:whole`;
const nydus = `${registry.host}/bench/debian:nydus`;
await run(
  "skopeo",
  "copy",
  "--quiet",
  "--dest-tls-verify=false",
  `oci:${layout}`,
  `docker://${whole}`,
);
{
  await using store = await openNydusImageStore({ directory: join(directory, "source") });
  await store.pullImage({ image: { image: whole } });
  await store.convert(whole, nydus);
}
const shape = ["rate", "50mbit", "burst", "64kb", "latency", "400ms"];
await run("tc", "qdisc", "add", "dev", "lo", "root", "tbf", ...shape);
const measurements = { onDemand: [] as ShapedMeasurement[], whole: [] as ShapedMeasurement[] };
for (let round = 0; round < rounds; round += 1) {
  measurements.whole.push(await startProgram(whole, join(directory, "round")));
  measurements.onDemand.push(await startProgram(nydus, join(directory, "round")));
}
console.log(JSON.stringify(measurements satisfies ShapedMeasurements));
