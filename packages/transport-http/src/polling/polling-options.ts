import { join, resolve } from "node:path";
import { LongshoreError, silentLogger, type Capabilities, type Logger } from "@longshore/core";
import type { Taint } from "@longshore/core";
import { z } from "zod";
import { isLoopbackHost } from "../server/cors.ts";
import { leaseLimitsMs, maxLeasesAtOnce, maxWaitMs } from "./messages.ts";
import { sleep, type Sleep } from "./sleep.ts";

/** What a master is told of the worker, to send it the jobs that it can run. */
export interface PollingWorker {
  /** @default "default" */
  readonly pool?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly taints?: readonly Taint[] | undefined;
  /** Without them every job is sent, and the worker refuses what it cannot run */
  readonly capabilities?: Capabilities | undefined;
}

export interface PollingTransportOptions {
  /** Where the master is, e.g. `"https://master.example:9100"` */
  readonly url: string;
  /** Where answers wait until the master has them; of this worker alone, made when it is not there */
  readonly directory: string;
  /** Bearer token, or what gives it each time it is needed */
  readonly token?: string | (() => string | Promise<string>) | undefined;
  /** Send the token and the jobs over plain HTTP to another host, too. @default false */
  readonly allowInsecure?: boolean | undefined;
  readonly worker?: PollingWorker | undefined;
  /** @default "poll" */
  readonly name?: string | undefined;
  /** Policy subject of whoever may submit at the master. @default "service:master" */
  readonly subject?: string | undefined;
  /** @default 60_000 */
  readonly leaseMs?: number | undefined;
  /** Deliveries that are being handed over at a time; 1–64. @default 64 */
  readonly prefetch?: number | undefined;
  /** How long the master may hold an answer back, in milliseconds. @default 30_000 */
  readonly waitMs?: number | undefined;
  /** Time for a request besides that, in milliseconds. @default 30_000 */
  readonly requestTimeoutMs?: number | undefined;
  /** Longest wait between two tries while the master cannot be reached. @default 30_000 */
  readonly maxBackoffMs?: number | undefined;
  /** Longer answers of the master are not read. @default 67_108_864 */
  readonly maxAnswerBytes?: number | undefined;
  /** Bytes of answers that may wait on the disk; with more, nothing is leased. @default 268_435_456 */
  readonly maxSpoolBytes?: number | undefined;
  /** @default the global one */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** A number in [0, 1), for the jitter. @default Math.random */
  readonly random?: (() => number) | undefined;
  /** How waits between tries are waited. @default by a timer */
  readonly sleep?: Sleep | undefined;
  /** @default silence */
  readonly logger?: Logger | undefined;
}

/** The options with every default filled in. */
export type ResolvedPollingOptions = Pick<PollingTransportOptions, "token"> & {
  readonly [Name in Exclude<keyof PollingTransportOptions, "token" | "allowInsecure">]-?: Exclude<
    PollingTransportOptions[Name],
    undefined
  >;
};

const limits = {
  leaseMs: [leaseLimitsMs.least, leaseLimitsMs.most],
  prefetch: [1, maxLeasesAtOnce],
  waitMs: [100, maxWaitMs],
  requestTimeoutMs: [1, 3_600_000],
  maxBackoffMs: [1, 3_600_000],
  maxAnswerBytes: [1_024, 1_073_741_824],
  maxSpoolBytes: [1, Number.MAX_SAFE_INTEGER],
} as const;

/**
 * @throws {TypeError} for a URL that is not one of HTTP
 * @throws {RangeError} for a number that makes no sense
 * @throws {LongshoreError} `CONFIG_ERROR` for plain HTTP to another host
 */
export function resolvePollingOptions(options: PollingTransportOptions): ResolvedPollingOptions {
  const resolved: ResolvedPollingOptions = {
    url: checkedUrl(options),
    directory: resolve(options.directory),
    token: options.token,
    worker: options.worker ?? {},
    name: options.name ?? "poll",
    subject: options.subject ?? "service:master",
    leaseMs: options.leaseMs ?? 60_000,
    prefetch: options.prefetch ?? maxLeasesAtOnce,
    waitMs: options.waitMs ?? 30_000,
    requestTimeoutMs: options.requestTimeoutMs ?? 30_000,
    maxBackoffMs: options.maxBackoffMs ?? 30_000,
    maxAnswerBytes: options.maxAnswerBytes ?? 67_108_864,
    maxSpoolBytes: options.maxSpoolBytes ?? 268_435_456,
    fetch: options.fetch ?? globalThis.fetch.bind(globalThis),
    random: options.random ?? Math.random,
    sleep: options.sleep ?? sleep,
    logger: options.logger ?? silentLogger,
  };
  for (const [name, [least, most]] of Object.entries(limits)) {
    const value = resolved[name as keyof typeof limits];
    if (Number.isSafeInteger(value) && value >= least && value <= most) continue;
    throw new RangeError(`${name} must be a whole number of ${least} to ${most}, got ${value}`);
  }
  return resolved;
}

function checkedUrl({ url, allowInsecure = false }: PollingTransportOptions): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) {
    throw new TypeError(`"${url}" is not a URL of HTTP`);
  }
  if (parsed.username !== "" || parsed.password !== "" || parsed.search !== "") {
    throw new TypeError(`"${parsed.host}": the URL of a master has no credentials and no query`);
  }
  if (parsed.protocol === "http:" && !isLoopbackHost(parsed.hostname) && !allowInsecure) {
    throw new LongshoreError(
      "CONFIG_ERROR",
      `Over plain HTTP, everybody on the way to ${parsed.host} could read the token and the jobs: use https, or allow it with allow_insecure.`,
      { details: { url: parsed.origin } },
    );
  }
  return url;
}

const whole = z.int().min(1);
const configSchema = z.strictObject({
  url: z.string().min(1),
  directory: z.string().min(1).optional(),
  token_file: z.string().min(1).optional(),
  allow_insecure: z.boolean().optional(),
  name: z.string().min(1).max(64).optional(),
  subject: z.string().min(1).max(256).optional(),
  lease_seconds: z.number().positive().optional(),
  prefetch: whole.optional(),
  wait_seconds: z.number().positive().optional(),
  request_timeout_seconds: z.number().positive().optional(),
  max_backoff_seconds: z.number().positive().optional(),
  max_answer_bytes: whole.optional(),
  max_spool_bytes: whole.optional(),
});

/** What a configuration file says, and the file with the token. */
export interface PollingConfig extends Omit<PollingTransportOptions, "token"> {
  readonly tokenFile: string | undefined;
}

/**
 * The options from an entry `transports: [{ type: poll, url: … }]` of a configuration file.
 *
 * @param home directory below which the answers wait when the entry names no other
 * @throws {LongshoreError} `CONFIG_ERROR`
 */
export function pollingTransportOptions(config: unknown, home: string): PollingConfig {
  const parsed = configSchema.safeParse(config);
  if (!parsed.success) {
    const issues = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
    throw new LongshoreError("CONFIG_ERROR", `Polling transport: ${issues.join("; ")}`, {
      details: { issues },
    });
  }
  const { data } = parsed;
  const toMs = (seconds: number | undefined): number | undefined =>
    seconds === undefined ? undefined : Math.round(seconds * 1_000);
  return {
    url: data.url,
    directory: data.directory ?? join(home, data.name ?? "poll"),
    tokenFile: data.token_file,
    allowInsecure: data.allow_insecure,
    name: data.name,
    subject: data.subject,
    leaseMs: toMs(data.lease_seconds),
    prefetch: data.prefetch,
    waitMs: toMs(data.wait_seconds),
    requestTimeoutMs: toMs(data.request_timeout_seconds),
    maxBackoffMs: toMs(data.max_backoff_seconds),
    maxAnswerBytes: data.max_answer_bytes,
    maxSpoolBytes: data.max_spool_bytes,
  };
}
