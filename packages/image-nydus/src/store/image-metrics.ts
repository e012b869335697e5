import { metrics, type MeterProvider } from "@opentelemetry/api";
import type { PullProgress } from "@longshore/core";
import type { ChunkStoreStats } from "../convert/chunk-store.ts";

/** Counts what a store fetches and saves. */
export interface ImageMetrics {
  /** The same report, which is counted on its way. */
  watch(report: (progress: PullProgress) => void): (progress: PullProgress) => void;
  converted(chunks: ChunkStoreStats): void;
  pulled(durationMs: number): void;
}

export function imageMetrics(meterProvider?: MeterProvider): ImageMetrics {
  const meter = (meterProvider ?? metrics.getMeterProvider()).getMeter("@longshore/image-nydus");
  const fetched = meter.createCounter("image_fetched_bytes_total", {
    unit: "By",
    description: "Bytes of layers that were fetched",
  });
  const chunks = meter.createCounter("image_chunks_total", {
    description: "Chunks of pulled images, by whether they were stored already",
  });
  const duration = meter.createHistogram("image_pull_duration_seconds", {
    unit: "s",
    description: "Time of a pull",
  });
  return {
    watch(report) {
      let counted = 0;
      return (progress) => {
        fetched.add(Math.max(0, progress.receivedBytes - counted));
        counted = Math.max(counted, progress.receivedBytes);
        report(progress);
      };
    },
    converted({ reusedChunks, storedChunks }) {
      chunks.add(reusedChunks, { result: "hit" });
      chunks.add(storedChunks, { result: "miss" });
    },
    pulled(durationMs) {
      duration.record(durationMs / 1_000);
    },
  };
}
