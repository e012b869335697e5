import type { TransportConfig, WorkerConfig } from "@longshore/core";
import type { WorkerFlags } from "./worker.ts";

/**
 * Where the worker's jobs come from: `--poll`, with `--jobs-dir` beside it when that is named; else what the configuration says;
 * else a jobs directory.
 */
export function wantedTransports(
  { transports, worker }: WorkerConfig,
  { poll, pollTokenFile, jobsDir }: WorkerFlags,
): readonly TransportConfig[] {
  const directory: TransportConfig = {
    type: "file",
    jobs_dir: jobsDir ?? "jobs",
    results_dir: worker.resultsDir,
    lease_seconds: worker.leaseSeconds,
    progress_file: true,
  };
  if (poll === undefined) return transports ?? [directory];
  const polled: TransportConfig = {
    type: "poll",
    url: poll,
    lease_seconds: worker.leaseSeconds,
    ...(pollTokenFile !== undefined && { token_file: pollTokenFile }),
  };
  return jobsDir === undefined ? [polled] : [polled, directory];
}
