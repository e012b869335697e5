// Pulls an image into a fresh store and mounts it, in a process of its own: `node image-pull-program.js IMAGE DIRECTORY`.
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { openNydusImageStore } from "../packages/image-nydus/src/index.ts";

/** What one pull took. */
export interface PullMeasurement {
  /** From opening the store to the first file read out of the mount */
  readonly durationMs: number;
  /** The same, from the start of the process */
  readonly sinceStartMs: number;
  readonly peakBytes: number;
  /** How the image was mounted */
  readonly method: string;
}

/** The most memory this process has had, in bytes. */
async function peakResidentBytes(): Promise<number> {
  // `resourceUsage` would count what the parent had when it started this process.
  const kilobytes = /^VmHWM:\s+(\d+) kB$/mu.exec(await readFile("/proc/self/status", "utf8"))?.[1];
  return Number(kilobytes) * 1_024;
}

const [image = "", directory = ""] = process.argv.slice(2);
const target = join(directory, "mount");
await mkdir(target, { recursive: true });
const startedAt = performance.now();
await using store = await openNydusImageStore({
  directory: join(directory, "store"),
  mountMethods: ["erofs-files", "erofs-loop"],
});
const id = await store.pullImage({ image: { image } });
await using mount = await store.mount(id, target);
await readFile(join(target, "etc/os-release"));
const sinceStartMs = performance.now();
const measurement: PullMeasurement = {
  durationMs: sinceStartMs - startedAt,
  sinceStartMs,
  peakBytes: await peakResidentBytes(),
  method: mount.method,
};
console.log(JSON.stringify(measurement));
