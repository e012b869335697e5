import { userInfo } from "node:os";
import { join, resolve } from "node:path";
import { LongshoreError, silentLogger, type Logger } from "@longshore/core";
import { z } from "zod";

export interface FileTransportOptions {
  /** The inbox; made when it is not there */
  readonly jobsDir: string;
  /** Where results go. @default `<jobsDir>/../results` */
  readonly resultsDir?: string | undefined;
  /** @default "file" */
  readonly name?: string | undefined;
  /** @default 60_000 */
  readonly leaseMs?: number | undefined;
  /** How long a file must not be written to that is not complete JSON, in milliseconds. @default 200 */
  readonly stabilityMs?: number | undefined;
  /** For network file systems, which tell no events and may be slow. @default false */
  readonly usePolling?: boolean | undefined;
  /** @default 1_000 */
  readonly pollIntervalMs?: number | undefined;
  /** Larger files are refused. @default 1_048_576 */
  readonly maxPayloadBytes?: number | undefined;
  /** Messages that are being handed over at a time. @default 64 */
  readonly prefetch?: number | undefined;
  /** Write `<results>/<job_id>-progress.jsonl`. @default false */
  readonly progressFile?: boolean | undefined;
  /** Policy subject of whoever may write into the inbox. @default `local:<user the process runs as>` */
  readonly subject?: string | undefined;
  /** @default silence */
  readonly logger?: Logger | undefined;
}

export type ResolvedOptions = Required<{
  [Key in keyof FileTransportOptions]: Exclude<FileTransportOptions[Key], undefined>;
}>;

const whole = z.int().min(1);
const configSchema = z.strictObject({
  jobs_dir: z.string().min(1),
  results_dir: z.string().min(1).optional(),
  name: z.string().min(1).max(64).optional(),
  lease_seconds: z.number().positive().optional(),
  stability_ms: z.int().min(0).optional(),
  use_polling: z.boolean().optional(),
  poll_interval_ms: whole.optional(),
  max_payload_bytes: whole.optional(),
  prefetch: whole.optional(),
  progress_file: z.boolean().optional(),
  subject: z.string().min(1).max(256).optional(),
});

/**
 * The options from an entry `transports: [{ type: file, jobs_dir: … }]` of a configuration file.
 *
 * @throws {LongshoreError} `CONFIG_ERROR`
 */
export function fileTransportOptions(config: unknown): FileTransportOptions {
  const parsed = configSchema.safeParse(config);
  if (!parsed.success) {
    const issues = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
    throw new LongshoreError("CONFIG_ERROR", `File transport: ${issues.join("; ")}`, {
      details: { issues },
    });
  }
  const { data } = parsed;
  return {
    jobsDir: data.jobs_dir,
    resultsDir: data.results_dir,
    name: data.name,
    leaseMs: data.lease_seconds === undefined ? undefined : data.lease_seconds * 1_000,
    stabilityMs: data.stability_ms,
    usePolling: data.use_polling,
    pollIntervalMs: data.poll_interval_ms,
    maxPayloadBytes: data.max_payload_bytes,
    prefetch: data.prefetch,
    progressFile: data.progress_file,
    subject: data.subject,
  };
}

/** @throws {RangeError} for a number that makes no sense */
export function resolveOptions(options: FileTransportOptions): ResolvedOptions {
  const jobsDir = resolve(options.jobsDir);
  const resolved: ResolvedOptions = {
    jobsDir,
    resultsDir: resolve(options.resultsDir ?? join(jobsDir, "..", "results")),
    name: options.name ?? "file",
    leaseMs: options.leaseMs ?? 60_000,
    stabilityMs: options.stabilityMs ?? 200,
    usePolling: options.usePolling ?? false,
    pollIntervalMs: options.pollIntervalMs ?? 1_000,
    maxPayloadBytes: options.maxPayloadBytes ?? 1_048_576,
    prefetch: options.prefetch ?? 64,
    progressFile: options.progressFile ?? false,
    subject: options.subject ?? localSubject(),
    logger: options.logger ?? silentLogger,
  };
  for (const key of ["leaseMs", "pollIntervalMs", "maxPayloadBytes", "prefetch"] as const) {
    if (!(resolved[key] >= 1))
      throw new RangeError(`${key} must be 1 or more, got ${resolved[key]}`);
  }
  return resolved;
}

function localSubject(): string {
  try {
    return `local:${userInfo().username}`;
  } catch {
    // A container may run under a user id that has no name.
    return `local:${process.getuid?.() ?? "unknown"}`;
  }
}
