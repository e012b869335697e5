import type { Logger } from "@longshore/core";
import type { CredentialSource } from "../auth/credentials.ts";

/** How one registry host is reached. */
export interface RegistryHostOptions {
  /**
   * Speak http without TLS. By default only with this machine (`localhost`, `127.0.0.0/8`, `::1`), and there only when no
   * `tls` is given and the port is not 443.
   */
  readonly plainHttp?: boolean | undefined;
  readonly tls?: RegistryTls | undefined;
  /**
   * Where to ask first when something is read, best first: `host[:port][/prefix]`, the prefix before each repository's
   * name. A mirror's own entry in `hosts` says how it is reached. It never gets the registry's credentials.
   */
  readonly mirrors?: readonly string[] | undefined;
}

/** PEM texts. */
export interface RegistryTls {
  /** Certificates to trust instead of the system's */
  readonly ca?: string | Buffer | undefined;
  /** Certificate to show */
  readonly cert?: string | Buffer | undefined;
  readonly key?: string | Buffer | undefined;
  /** Accept any certificate: whoever sits in between reads and changes what is not checked by digest */
  readonly insecureSkipVerify?: boolean | undefined;
}

export interface RegistryClientOptions {
  /** By `host` or `host:port` as in image references */
  readonly hosts?: Readonly<Record<string, RegistryHostOptions>> | undefined;
  /** Where credentials come from. @default `dockerCredentials()` */
  readonly credentials?: CredentialSource | undefined;
  /** Requests for documents and ranges, and copied blobs, at the same time. @default 4 */
  readonly parallelism?: number | undefined;
  /** Further tries after one that failed for the moment. @default 5 */
  readonly retries?: number | undefined;
  /** Wait before the first further try; doubles, with a random part. @default 250 */
  readonly retryDelayMs?: number | undefined;
  /** Longest wait, also of those a registry asks for: past it the call fails. @default 60_000 */
  readonly maxRetryDelayMs?: number | undefined;
  /** @default 10_000 */
  readonly connectTimeoutMs?: number | undefined;
  /** Time until an answer begins, and for a whole document. @default 30_000 */
  readonly requestTimeoutMs?: number | undefined;
  /** Time without a byte of a blob after which its connection counts as broken. @default 30_000 */
  readonly stallTimeoutMs?: number | undefined;
  /** @default "longshore" */
  readonly userAgent?: string | undefined;
  /** `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, in either case; this machine is never asked for by proxy. @default process.env */
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** @default silence */
  readonly logger?: Logger | undefined;
}

/** Options with their defaults. */
export interface ClientSettings {
  readonly hosts: Readonly<Record<string, RegistryHostOptions>>;
  readonly parallelism: number;
  readonly retries: number;
  readonly retryDelayMs: number;
  readonly maxRetryDelayMs: number;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly stallTimeoutMs: number;
  readonly userAgent: string;
  readonly env: NodeJS.ProcessEnv;
}

/** @throws {RangeError} for numbers that make no sense */
export function clientSettings(options: RegistryClientOptions): ClientSettings {
  const {
    hosts = {},
    parallelism = 4,
    retries = 5,
    retryDelayMs = 250,
    maxRetryDelayMs = 60_000,
    connectTimeoutMs = 10_000,
    requestTimeoutMs = 30_000,
    stallTimeoutMs = 30_000,
    userAgent = "longshore",
    env = process.env,
  } = options;
  assertWhole("parallelism", parallelism, 1);
  assertWhole("retries", retries, 0);
  assertWhole("retryDelayMs", retryDelayMs, 0);
  assertWhole("maxRetryDelayMs", maxRetryDelayMs, 0);
  assertWhole("connectTimeoutMs", connectTimeoutMs, 1);
  assertWhole("requestTimeoutMs", requestTimeoutMs, 1);
  assertWhole("stallTimeoutMs", stallTimeoutMs, 1);
  return {
    hosts,
    parallelism,
    retries,
    retryDelayMs,
    maxRetryDelayMs,
    connectTimeoutMs,
    requestTimeoutMs,
    stallTimeoutMs,
    userAgent,
    env,
  };
}

function assertWhole(name: string, value: number, min: number): void {
  if (Number.isSafeInteger(value) && value >= min) return;
  throw new RangeError(`${name} must be a whole number of ${min} or more, got ${value}`);
}
