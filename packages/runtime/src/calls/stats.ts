import {
  nanosecondsFromMs,
  type Abortable,
  type ContainerRef,
  type ContainerStats,
  type ContainerStatsFilter,
  type PodSandboxRef,
  type PodSandboxStats,
  type PodSandboxStatsFilter,
} from "@longshore/core";
import { withRate } from "../engine/cpu-rate.ts";
import type { Engine } from "../engine/engine.ts";
import type { ContainerEntry, SandboxEntry } from "../engine/entries.ts";
import { matchesContainer, matchesSandbox } from "../engine/filters.ts";
import { requireUp, unreachable } from "../engine/requirements.ts";
import { within } from "../engine/turn-queue.ts";

/** In a list, whoever takes longer to answer is left out */
const listPatienceMs = 5_000;

export async function containerStats(
  engine: Engine,
  { containerId }: ContainerRef,
  { signal }: Abortable = {},
): Promise<ContainerStats> {
  signal?.throwIfAborted();
  return readContainer(engine.registry.getContainer(containerId), signal);
}

export async function listContainerStats(
  { registry }: Engine,
  filter: ContainerStatsFilter = {},
  { signal }: Abortable = {},
): Promise<readonly ContainerStats[]> {
  signal?.throwIfAborted();
  const matches = matchesContainer(registry, filter);
  const running = [...registry.containers.values()].filter(
    (entry) => entry.record.state === "running" && matches(entry),
  );
  return inTime(
    running.map((entry) => readContainer(entry, signal)),
    signal,
  );
}

export async function podSandboxStats(
  engine: Engine,
  { podSandboxId }: PodSandboxRef,
  { signal }: Abortable = {},
): Promise<PodSandboxStats> {
  signal?.throwIfAborted();
  const entry = engine.registry.getSandbox(podSandboxId);
  if (!entry.isReady) return { attributes: sandboxAttributes(entry) };
  return readSandbox(entry, signal);
}

export async function listPodSandboxStats(
  { registry }: Engine,
  filter: PodSandboxStatsFilter = {},
  { signal }: Abortable = {},
): Promise<readonly PodSandboxStats[]> {
  signal?.throwIfAborted();
  const matches = matchesSandbox(registry, filter);
  const ready = [...registry.sandboxes.values()].filter((entry) => entry.isReady && matches(entry));
  return inTime(
    ready.map((entry) => readSandbox(entry, signal)),
    signal,
  );
}

async function readSandbox(
  entry: SandboxEntry,
  signal: AbortSignal | undefined,
): Promise<PodSandboxStats> {
  const up = requireUp(entry);
  const containers = [...entry.containers.values()].filter(
    ({ record }) => record.state === "running",
  );
  const [linux, running] = await Promise.all([
    up.stats({ signal }),
    inTime(
      containers.map((one) => readContainer(one, signal)),
      signal,
    ),
  ]);
  const attributes = sandboxAttributes(entry);
  if (linux === undefined) return { attributes };
  if (linux.cpu === undefined) return { attributes, linux: { ...linux, containers: running } };
  const { cpu, reading } = withRate(linux.cpu, entry.cpu);
  entry.cpu = reading;
  return { attributes, linux: { ...linux, cpu, containers: running } };
}

async function readContainer(
  entry: ContainerEntry,
  signal: AbortSignal | undefined,
): Promise<ContainerStats> {
  const { record, driver } = entry;
  const { config } = record;
  const attributes = {
    id: entry.id,
    metadata: config.metadata,
    labels: config.labels ?? {},
    annotations: config.annotations ?? {},
  };
  if (record.state === "created" || record.state === "exited") return { attributes, ...zeros() };
  if (driver === undefined) throw unreachable(entry.sandbox);
  const stats = await driver.stats({ signal });
  if (stats.cpu === undefined) return { attributes, ...stats };
  const { cpu, reading } = withRate(stats.cpu, entry.cpu);
  entry.cpu = reading;
  return { attributes, ...stats, cpu };
}

function sandboxAttributes({ id, config }: SandboxEntry): PodSandboxStats["attributes"] {
  const { metadata, labels = {}, annotations = {} } = config;
  return { id, metadata, labels, annotations };
}

function zeros(): Omit<ContainerStats, "attributes"> {
  const timestamp = nanosecondsFromMs(Date.now());
  return {
    cpu: { timestamp, usageCoreNanoSeconds: 0n, usageNanoCores: 0 },
    memory: {
      timestamp,
      workingSetBytes: 0,
      usageBytes: 0,
      rssBytes: 0,
      pageFaults: 0,
      majorPageFaults: 0,
    },
  };
}

/** What can be read. What ended meanwhile, or does not answer, is no reason to keep the rest back. */
async function inTime<T>(
  readings: readonly Promise<T>[],
  signal: AbortSignal | undefined,
): Promise<readonly T[]> {
  const values = await Promise.all(
    readings.map(async (reading) => {
      const settled = reading.then(
        (value) => [value],
        () => [],
      );
      return (await within(settled, listPatienceMs)) ? settled : [];
    }),
  );
  signal?.throwIfAborted();
  return values.flat();
}
