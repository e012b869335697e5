import type { TransportConfig, WorkerConfig } from "@longshore/core";

export interface TransportFlags {
  readonly poll?: string;
  readonly pollTokenFile?: string;
  readonly jobsDir?: string;
}

/**
 * Where the worker's jobs come from: `--poll`, with `--jobs-dir` beside it when that is named; else what the configuration says;
 * else a jobs directory.
 */
export function wantedTransports(
  { transports, worker }: WorkerConfig,
  { poll, pollTokenFile, jobsDir }: TransportFlags,
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
