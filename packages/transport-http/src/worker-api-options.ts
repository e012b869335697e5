import {
  LongshoreError,
  type JobStore,
  type Logger,
  type Policy,
  type Worker,
} from "@longshore/core";
import type { ApiRoute } from "./api-route.ts";
import type { Authenticator } from "./auth/authenticator.ts";
import type { PrometheusMetrics } from "./prometheus-metrics.ts";
import { isLoopback } from "./server/cors.ts";

/** Certificates of the server, PEM. */
export interface TlsOptions {
  readonly cert: string | Uint8Array;
  readonly key: string | Uint8Array;
  /** Authority of client certificates; needed for `clientCertificates()` */
  readonly clientCa?: string | Uint8Array | undefined;
}

export interface WorkerApiOptions {
  readonly worker: Worker;
  /** The worker's store; it must keep events */
  readonly store: JobStore;
  /** Who may call what. Submitted jobs are for the worker's own policy, too */
  readonly policy: Policy;
  /** @default "127.0.0.1" */
  readonly host?: string | undefined;
  /** 0 takes any that is free. @default 9000 */
  readonly port?: number | undefined;
  /** Ways to tell who sends a request; without any, everybody is `anonymous` */
  readonly authenticators?: readonly Authenticator[] | undefined;
  /** Serve other hosts although nobody needs credentials. @default false */
  readonly allowUnauthenticated?: boolean | undefined;
  readonly tls?: TlsOptions | undefined;
  /** Where the worker keeps artifacts. @default none are served */
  readonly artifactsDir?: string | undefined;
  /** Directory whose disk `/health` measures. @default the working directory */
  readonly jobsPath?: string | undefined;
  /** Serves `/metrics`. @default not served */
  readonly metrics?: PrometheusMetrics | undefined;
  /** Serves `/drain` and `/shutdown`. @default false */
  readonly admin?: boolean | undefined;
  /** More routes */
  readonly routes?: readonly ApiRoute[] | undefined;
  /** Origins of pages in browsers that may use the API. @default [] */
  readonly corsOrigins?: readonly string[] | undefined;
  /** `success`: answers below `/api/v1` are `{success, data}`. @default "plain" */
  readonly view?: "plain" | "success" | undefined;
  /** @default 1_048_576 */
  readonly maxBodyBytes?: number | undefined;
  /** Streams that one client may have open. @default 64 */
  readonly maxStreamsPerClient?: number | undefined;
  /** Streams in all. @default 2_000 */
  readonly maxStreams?: number | undefined;
  /** @default 4_096 */
  readonly maxConnections?: number | undefined;
  /** Time for the headers of a request. @default 10_000 */
  readonly headersTimeoutMs?: number | undefined;
  /** Time for a whole request. @default 30_000 */
  readonly requestTimeoutMs?: number | undefined;
  /** Time a connection may wait for its next request. @default 65_000 */
  readonly keepAliveTimeoutMs?: number | undefined;
  /** Time a reader may take nothing before it is cut off. @default 30_000 */
  readonly stallTimeoutMs?: number | undefined;
  /** How often a stream on which nothing happens shows that it lives. @default 15_000 */
  readonly heartbeatMs?: number | undefined;
  /** @default silence */
  readonly logger?: Logger | undefined;
}

const defaults = {
  maxBodyBytes: 1_048_576,
  maxStreamsPerClient: 64,
  maxStreams: 2_000,
  maxConnections: 4_096,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 65_000,
  stallTimeoutMs: 30_000,
  heartbeatMs: 15_000,
};

/** @throws {RangeError} for a number that makes no sense */
export function workerApiLimits(
  options: Pick<WorkerApiOptions, keyof typeof defaults>,
): typeof defaults {
  const limits = { ...defaults };
  for (const name of Object.keys(defaults) as (keyof typeof defaults)[]) {
    const value = options[name];
    if (value === undefined) continue;
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new RangeError(`${name} must be a whole number of 1 or more, got ${value}`);
    }
    limits[name] = value;
  }
  return limits;
}

/**
 * Doors that would stand open by mistake are not opened: `serveWorkerApi` asks this first, and a program may ask before
 * it starts its worker.
 *
 * @throws {LongshoreError} `CONFIG_ERROR`
 */
export function checkDoors(
  options: Pick<WorkerApiOptions, "host" | "authenticators" | "allowUnauthenticated" | "tls">,
): void {
  const { host = "127.0.0.1", authenticators = [], allowUnauthenticated = false, tls } = options;
  if (authenticators.length === 0 && !allowUnauthenticated && !isLoopback(host)) {
    throw new LongshoreError(
      "CONFIG_ERROR",
      `The API would serve ${host} to everybody: give authenticators, listen on 127.0.0.1, or say allowUnauthenticated.`,
      { details: { host } },
    );
  }
  const wantsCertificates = authenticators.some((one) => one.readsCertificates === true);
  if (wantsCertificates && tls?.clientCa === undefined) {
    throw new LongshoreError(
      "CONFIG_ERROR",
      "Client certificates need tls.clientCa: the authority that signs them.",
    );
  }
}
