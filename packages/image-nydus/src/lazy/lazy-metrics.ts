import { metrics, type MeterProvider } from "@opentelemetry/api";
import type { FetchReason } from "./fetch-queue.ts";

/** Sums since a reader was opened. */
export interface LazyStats {
  /** Bytes that arrived, chunks that were wrong or not wanted included */
  readonly fetchedBytes: number;
  /** Requests for bytes, repetitions included */
  readonly requests: number;
  /** Requests that failed and were made again */
  readonly retries: number;
  /** Chunks that came with wrong bytes */
  readonly mismatches: number;
  /** Chunks that were there when they were read */
  readonly hits: number;
  /** Chunks a reader had to wait for */
  readonly misses: number;
  readonly reads: number;
  readonly failedReads: number;
}

/** Counts what loading on demand does, for `stats()` and for OpenTelemetry. */
export interface LazyMetrics {
  stats(): LazyStats;
  requested(reason: FetchReason): void;
  received(bytes: number): void;
  retried(): void;
  mismatched(): void;
  /** A read ended. @param misses chunks it had to wait for */
  read(outcome: { hits: number; misses: number; durationMs: number; isFailed: boolean }): void;
}

/** Seconds: a page-cache hit takes microseconds, a read through a broken network half a minute */
const latencyBuckets = [
  0.000_05, 0.000_2, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

/** Counters and a latency histogram. Nearly free when no OpenTelemetry provider is registered. */
export function lazyMetrics(provider: MeterProvider = metrics.getMeterProvider()): LazyMetrics {
  const meter = provider.getMeter("@longshore/image-nydus");
  const counter = (name: string, description: string, unit?: string) =>
    meter.createCounter(name, unit === undefined ? { description } : { description, unit });
  const fetchedBytes = counter("image_lazy_fetched_bytes_total", "Bytes fetched on demand", "By");
  const requests = counter("image_lazy_requests_total", "Requests for bytes of blobs, by reason");
  const retries = counter("image_lazy_retries_total", "Requests made again after a failure");
  const mismatches = counter("image_lazy_mismatches_total", "Chunks that came with wrong bytes");
  const hits = counter("image_lazy_chunk_hits_total", "Chunks that were there when read");
  const misses = counter("image_lazy_chunk_misses_total", "Chunks that a reader waited for");
  const failures = counter("image_lazy_read_failures_total", "Reads that got an error");
  const latency = meter.createHistogram("image_lazy_read_duration_seconds", {
    unit: "s",
    description: "Time of a read, by whether it had to wait for chunks",
    advice: { explicitBucketBoundaries: latencyBuckets },
  });
  const hitAttributes = { cache: "hit" };
  const missAttributes = { cache: "miss" };
  const sums = {
    fetchedBytes: 0,
    requests: 0,
    retries: 0,
    mismatches: 0,
    hits: 0,
    misses: 0,
    reads: 0,
    failedReads: 0,
  };

  return {
    stats: () => ({ ...sums }),
    requested(reason) {
      sums.requests += 1;
      requests.add(1, { reason });
    },
    received(bytes) {
      sums.fetchedBytes += bytes;
      fetchedBytes.add(bytes);
    },
    retried() {
      sums.retries += 1;
      retries.add(1);
    },
    mismatched() {
      sums.mismatches += 1;
      mismatches.add(1);
    },
    read(outcome) {
      sums.reads += 1;
      sums.hits += outcome.hits;
      sums.misses += outcome.misses;
      if (outcome.hits > 0) hits.add(outcome.hits);
      if (outcome.misses > 0) misses.add(outcome.misses);
      latency.record(
        outcome.durationMs / 1_000,
        outcome.misses > 0 ? missAttributes : hitAttributes,
      );
      if (!outcome.isFailed) return;
      sums.failedReads += 1;
      failures.add(1);
    },
  };
}
