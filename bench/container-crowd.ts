import { readdir, readFile } from "node:fs/promises";
import type { RuntimePair } from "./container-lifecycles.ts";
import { percentile } from "./percentile.ts";
import type { Row } from "./table.ts";

const crowd = 200;
const kibibyte = 1_024;
const mebibyte = 1_048_576;

/** Sandboxes with a container each, all at once: how long each takes, and what they cost while they idle. */
export async function benchCrowd(
  { runtime: name, stack }: RuntimePair,
  signal: AbortSignal,
): Promise<Row[]> {
  const { runtime } = stack;
  globalThis.gc?.();
  const engineBefore = process.memoryUsage().rss;
  const startedAt = performance.now();
  const starts = await Promise.allSettled(
    Array.from({ length: crowd }, async () => {
      const podSandboxId = await stack.startSandbox(signal);
      const containerId = await stack.startContainer(podSandboxId, ["sleep", "3600"], signal);
      return { podSandboxId, containerId, ms: performance.now() - startedAt };
    }),
  );
  signal.throwIfAborted();
  const totalMs = performance.now() - startedAt;
  const started = starts.filter((start) => start.status === "fulfilled").map(({ value }) => value);
  const firstFailure = starts.find((start) => start.status === "rejected");
  if (firstFailure !== undefined)
    throw new Error("a sandbox failed", { cause: firstFailure.reason });
  globalThis.gc?.();
  const engineBytes = process.memoryUsage().rss - engineBefore;
  const helperBytes = await memoryOfHelpers(started);
  const removedAt = performance.now();
  await Promise.all(
    started.map(({ podSandboxId }) => runtime.removePodSandbox({ podSandboxId }, { signal })),
  );
  const removeMs = performance.now() - removedAt;
  const left = (await runtime.listPodSandbox()).length;
  const times = started.map(({ ms }) => ms);
  const perSandbox = (engineBytes + helperBytes) / crowd / mebibyte;
  const all = `${crowd} sandboxes at once by ${name}`;
  return [
    {
      name: `${all}: that run`,
      value: started.length,
      unit: "sandboxes",
      target: `${crowd}`,
    },
    { name: `${all}: until half of them run`, value: percentile(times, 0.5), unit: "ms" },
    { name: `${all}: until 99 % run`, value: percentile(times, 0.99), unit: "ms" },
    { name: `${all}: a start, on average`, value: totalMs / crowd, unit: "ms" },
    { name: `${all}: a removal, on average`, value: removeMs / crowd, unit: "ms" },
    { name: `${all}: left after removal`, value: left, unit: "sandboxes", target: "0" },
    {
      name: `memory of an idle sandbox by ${name} on the host (monitor, process 1, engine)`,
      value: perSandbox,
      unit: "MiB",
    },
    { name: "  of it the engine's", value: engineBytes / crowd / mebibyte, unit: "MiB" },
  ];
}

/** Memory of the monitors and first processes of sandboxes; what processes share counts for each in part. */
async function memoryOfHelpers(
  sandboxes: readonly { readonly podSandboxId: string; readonly containerId: string }[],
): Promise<number> {
  const titles = new Set(sandboxes.map(({ containerId }) => `longshore-monitor ${containerId}`));
  const cgroups = sandboxes.map(({ podSandboxId }) => `/longshore/${podSandboxId}/init`);
  let bytes = 0;
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/u.test(pid)) continue;
    const read = (name: string): Promise<string> => readFile(`/proc/${pid}/${name}`, "latin1");
    try {
      const title = (await read("cmdline")).replaceAll("\0", " ").trim();
      const cgroup = await read("cgroup");
      if (!titles.has(title) && !cgroups.some((path) => cgroup.includes(path))) continue;
      const size = /^Pss:\s+(\d+) kB$/mu.exec(await read("smaps_rollup"))?.[1];
      bytes += Number(size ?? 0) * kibibyte;
    } catch {
      // It ended meanwhile.
    }
  }
  return bytes;
}
