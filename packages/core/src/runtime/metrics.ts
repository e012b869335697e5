import type { Nanoseconds } from "./nanoseconds.ts";

/** What a metric is, in Prometheus' terms. The list of them never changes while a runtime lives. */
export interface MetricDescriptor {
  readonly name: string;
  readonly help: string;
  /** At least one */
  readonly labelKeys: readonly string[];
}

/** One value of a metric. */
export interface Metric {
  /** Name of a descriptor */
  readonly name: string;
  /** 0n: read just now */
  readonly timestamp: Nanoseconds;
  readonly metricType: "counter" | "gauge";
  /** In the order of the descriptor's keys */
  readonly labelValues: readonly string[];
  readonly value: number;
}

export interface PodSandboxMetrics {
  readonly podSandboxId: string;
  readonly metrics: readonly Metric[];
  readonly containerMetrics: readonly ContainerMetrics[];
}

export interface ContainerMetrics {
  readonly containerId: string;
  readonly metrics: readonly Metric[];
}
