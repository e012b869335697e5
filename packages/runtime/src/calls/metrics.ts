import type {
  ContainerStats,
  CpuUsage,
  MemoryUsage,
  Metric,
  MetricDescriptor,
  NetworkInterfaceUsage,
  PodSandboxMetrics,
} from "@longshore/core";
import type { Engine } from "../engine/engine.ts";
import type { ContainerEntry, SandboxEntry } from "../engine/entries.ts";
import { listPodSandboxStats } from "./stats.ts";

const labelKeys = ["id", "name", "image"];
const interfaceKeys = [...labelKeys, "interface"];

/** Names as cAdvisor gives them, which dashboards look for; see google/cadvisor, docs/storage/prometheus.md. */
const descriptors: readonly MetricDescriptor[] = [
  describe("container_cpu_usage_seconds_total", "Processor time of all processors, in seconds"),
  describe("container_memory_usage_bytes", "Memory in use, with all caches"),
  describe("container_memory_working_set_bytes", "Memory in use that cannot go at once"),
  describe("container_memory_rss", "Anonymous memory, in bytes"),
  describe("container_memory_swap", "Swap in use, in bytes"),
  describe("container_fs_usage_bytes", "Bytes written over the image"),
  describe("container_fs_inodes_total", "Files written over the image"),
  describe("container_start_time_seconds", "Time of the start, in seconds since 1970"),
  describe("container_spec_memory_limit_bytes", "Memory limit; 0 for none"),
  describe("container_processes", "Processes and threads"),
  ...["receive_bytes", "receive_errors", "transmit_bytes", "transmit_errors"].map((name) => ({
    name: `container_network_${name}_total`,
    help: `Counter of ${name.replace("_", " ")} of an interface`,
    labelKeys: interfaceKeys,
  })),
];

export async function listMetricDescriptors(): Promise<readonly MetricDescriptor[]> {
  return descriptors;
}

export async function listPodSandboxMetrics(
  engine: Engine,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<readonly PodSandboxMetrics[]> {
  const stats = await listPodSandboxStats(engine, {}, options);
  return stats.flatMap(({ attributes, linux }) => {
    const entry = engine.registry.sandboxes.get(attributes.id);
    if (entry === undefined) return [];
    const network = linux?.network;
    const interfaces = [network?.defaultInterface, ...(network?.interfaces ?? [])];
    const labels = sandboxLabels(entry);
    return {
      podSandboxId: entry.id,
      metrics: [
        ...usage(labels, linux ?? {}),
        ...interfaces.flatMap((one) => (one === undefined ? [] : traffic(labels, one))),
        ...gauge("container_processes", labels, linux?.process?.processCount),
      ],
      containerMetrics: (linux?.containers ?? []).flatMap((one) => {
        const container = entry.containers.get(one.attributes.id);
        if (container === undefined) return [];
        return { containerId: container.id, metrics: ofContainer(container, one) };
      }),
    };
  });
}

function ofContainer({ id, record }: ContainerEntry, stats: ContainerStats): readonly Metric[] {
  const labels = [id, record.config.metadata.name, record.config.image.image];
  return [
    ...usage(labels, stats),
    ...gauge("container_memory_swap", labels, stats.swap?.swapUsageBytes),
    ...gauge("container_fs_usage_bytes", labels, stats.writableLayer?.usedBytes),
    ...gauge("container_fs_inodes_total", labels, stats.writableLayer?.inodesUsed),
    ...gauge("container_start_time_seconds", labels, Number(record.startedAt) / 1e9),
    ...gauge(
      "container_spec_memory_limit_bytes",
      labels,
      record.resources?.memoryLimitInBytes ?? 0,
    ),
  ];
}

function usage(
  labels: readonly string[],
  {
    cpu,
    memory,
  }: { readonly cpu?: CpuUsage | undefined; readonly memory?: MemoryUsage | undefined },
): readonly Metric[] {
  const seconds = cpu?.usageCoreNanoSeconds;
  return [
    ...counter(
      "container_cpu_usage_seconds_total",
      labels,
      seconds === undefined ? undefined : Number(seconds) / 1e9,
    ),
    ...gauge("container_memory_usage_bytes", labels, memory?.usageBytes),
    ...gauge("container_memory_working_set_bytes", labels, memory?.workingSetBytes),
    ...gauge("container_memory_rss", labels, memory?.rssBytes),
  ];
}

function traffic(labels: readonly string[], counters: NetworkInterfaceUsage): readonly Metric[] {
  const values = [...labels, counters.name];
  return [
    ...counter("container_network_receive_bytes_total", values, counters.rxBytes),
    ...counter("container_network_receive_errors_total", values, counters.rxErrors),
    ...counter("container_network_transmit_bytes_total", values, counters.txBytes),
    ...counter("container_network_transmit_errors_total", values, counters.txErrors),
  ];
}

function sandboxLabels({ id, config }: SandboxEntry): readonly string[] {
  return [id, config.metadata.name, ""];
}

function describe(name: string, help: string): MetricDescriptor {
  return { name, help, labelKeys };
}

function counter(name: string, labels: readonly string[], value: number | undefined): Metric[] {
  return metric(name, labels, { value, metricType: "counter" });
}

function gauge(name: string, labels: readonly string[], value: number | undefined): Metric[] {
  return metric(name, labels, { value, metricType: "gauge" });
}

/** Nothing for what the kernel does not tell. */
function metric(
  name: string,
  labelValues: readonly string[],
  { value, metricType }: { readonly value: number | undefined } & Pick<Metric, "metricType">,
): Metric[] {
  if (value === undefined) return [];
  return [{ name, timestamp: 0n, metricType, labelValues, value }];
}
