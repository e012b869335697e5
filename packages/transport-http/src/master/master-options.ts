import {
  isJobId,
  silentLogger,
  type AdmissionOverrides,
  type JobStore,
  type Logger,
  type Policy,
  type SignatureVerifier,
} from "@longshore/core";
import { workerApiLimits, type WorkerApiOptions } from "../worker-api-options.ts";

export interface MasterOptions extends Pick<
  WorkerApiOptions,
  | "host"
  | "port"
  | "authenticators"
  | "allowUnauthenticated"
  | "tls"
  | "corsOrigins"
  | "maxBodyBytes"
  | "maxStreamsPerClient"
  | "maxStreams"
  | "maxConnections"
  | "headersTimeoutMs"
  | "requestTimeoutMs"
  | "keepAliveTimeoutMs"
  | "stallTimeoutMs"
  | "heartbeatMs"
> {
  /** Keeps the jobs, and their events; this master's alone */
  readonly store: JobStore;
  /** Who may submit and see what; a worker's subject may `serve` on `worker:{id}` */
  readonly policy: Policy;
  /** @default "master" */
  readonly id?: string | undefined;
  /** What is let in besides the policy. @default every mode and image: workers check each job again */
  readonly admission?: AdmissionOverrides | undefined;
  /** Checks `signature`; needed when the rules require one */
  readonly verifySignature?: SignatureVerifier | undefined;
  /** Jobs that have not ended; beyond it submits get `QUEUE_FULL`. @default 10_000 */
  readonly maxJobs?: number | undefined;
  /** Workers that poll, each on a connection of its own. @default 2_000 */
  readonly maxWorkers?: number | undefined;
  /** Larger results are 413. @default 33_554_432 */
  readonly maxResultBytes?: number | undefined;
  /**
   * How long a worker that is lost may still answer a job that nobody else is to try, and how long the leases live that
   * a master finds when it is started, in milliseconds. @default 60_000
   */
  readonly graceMs?: number | undefined;
  /** How long finished jobs are kept, in milliseconds. @default 86_400_000 */
  readonly resultRetentionMs?: number | undefined;
  /** @default silence */
  readonly logger?: Logger | undefined;
}

/** Time for a whole request: a long result over a slow line takes its time */
const requestTimeoutMs = 300_000;

/** The options with every default filled in. */
export interface MasterSettings {
  readonly id: string;
  readonly port: number;
  readonly maxJobs: number;
  readonly maxWorkers: number;
  readonly maxResultBytes: number;
  readonly graceMs: number;
  readonly resultRetentionMs: number;
  readonly logger: Logger;
  readonly limits: ReturnType<typeof workerApiLimits>;
}

/** @throws {RangeError} for a number that makes no sense @throws {TypeError} for an id that is none */
export function masterSettings(options: MasterOptions): MasterSettings {
  const { id = "master", port = 9_100 } = options;
  if (!isJobId(id)) throw new TypeError(`"${id}" cannot be the id of a master`);
  const numbers = {
    maxJobs: options.maxJobs ?? 10_000,
    maxWorkers: options.maxWorkers ?? 2_000,
    maxResultBytes: options.maxResultBytes ?? 33_554_432,
    graceMs: options.graceMs ?? 60_000,
    resultRetentionMs: options.resultRetentionMs ?? 86_400_000,
  };
  for (const [name, value] of Object.entries(numbers)) {
    const least = name === "maxResultBytes" ? 1_024 : 1;
    if (Number.isSafeInteger(value) && value >= least) continue;
    throw new RangeError(`${name} must be a whole number of ${least} or more, got ${value}`);
  }
  return {
    id,
    port,
    ...numbers,
    logger: options.logger ?? silentLogger,
    limits: workerApiLimits({ requestTimeoutMs, ...options }),
  };
}
