import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import autocannon, { type Result } from "autocannon";
import { percentile } from "./percentile.ts";
import { startRedis } from "./redis-server.ts";
import type { Row } from "./table.ts";
import { temporaryDirectory } from "./workplace.ts";

const connections = 64;
const warmUpSeconds = 2;
/** Each server is loaded so often, in turn with the others: what else the machine does meets them all */
const rounds = 5;
const roundSeconds = 2;

type Kind = "fastify" | "hono" | "bullmq" | "longshore";

interface Measured {
  readonly submitsPerSecond: number;
  readonly p99Ms: number;
}

interface Candidate {
  readonly kind: Kind;
  /** Directory, or socket of Redis */
  readonly place: string;
  /** `execution` of the jobs */
  readonly execution?: object;
}

/** A server in a process of its own; disposing ends it. */
async function startServer({ kind, place }: Candidate): Promise<AsyncDisposable & { url: string }> {
  const program = fileURLToPath(new URL("./http-server.ts", import.meta.url));
  const child = fork(program, [kind, place], {
    execArgv: ["--conditions=@longshore/source", "--no-warnings"],
  });
  const exited = once(child, "exit");
  const [{ url }] = (await once(child, "message")) as [{ readonly url: string }];
  return {
    url,
    async [Symbol.asyncDispose]() {
      child.disconnect();
      await exited;
    },
  };
}

/** Loads each candidate's server in turn; the medians of the rounds. */
async function measure<Name extends string>(
  candidates: Readonly<Record<Name, Candidate>>,
): Promise<Readonly<Record<Name, Measured>>> {
  const names = Object.keys(candidates) as Name[];
  const servers = new Map<Name, Awaited<ReturnType<typeof startServer>>>();
  const results = new Map<Name, Result[]>(names.map((name) => [name, []]));
  try {
    for (const name of names) servers.set(name, await startServer(candidates[name]));
    for (let round = 0; round <= rounds; round += 1) {
      for (const name of names) {
        const seconds = round === 0 ? warmUpSeconds : roundSeconds;
        const { url = "" } = servers.get(name) ?? {};
        const result = await load(url, seconds, candidates[name].execution ?? {});
        if (round > 0) results.get(name)?.push(result);
      }
    }
  } finally {
    for (const server of servers.values()) await server[Symbol.asyncDispose]();
  }
  const median = (values: readonly number[]): number => percentile(values, 0.5);
  const measured = names.map((name) => {
    const own = results.get(name) ?? [];
    return [
      name,
      {
        submitsPerSecond: median(own.map(({ requests }) => requests.average)),
        p99Ms: median(own.map(({ latency }) => latency.p99)),
      },
    ];
  });
  return Object.fromEntries(measured) as Record<Name, Measured>;
}

async function load(url: string, duration: number, execution: object): Promise<Result> {
  const result = await autocannon({
    url: `${url}/jobs`,
    method: "POST",
    connections,
    duration,
    headers: { "content-type": "application/json" },
    // Each request gets a number of its own.
    idReplacement: true,
    body: JSON.stringify({
      version: "1.0",
      job_id: "bench-[<id>]",
      operation: "system.echo",
      payload: { data: { index: 1, text: "a job as small as most of them are" } },
      execution,
    }),
  });
  if (result.non2xx > 0 || result.errors > 0) {
    throw new Error(`${url}: ${result.non2xx} refusals, ${result.errors} errors`);
  }
  return result;
}

/** Submits over HTTP: beside a bare route that does one SQLite insert, and BullMQ behind the same framework. */
export async function benchHttpSubmits(): Promise<readonly Row[]> {
  await using place = await temporaryDirectory();
  await using redis = await startRedis("none");
  await using durableRedis = await startRedis("always");
  const newPlace = async (name: string): Promise<string> => {
    const path = join(place.directory, name);
    await mkdir(path);
    return path;
  };
  const later = { not_before: new Date(Date.now() + 86_400_000).toISOString() };
  const { fastify, hono, bull, durableBull, longshore, waiting } = await measure({
    fastify: { kind: "fastify", place: await newPlace("fastify") },
    waiting: { kind: "longshore", place: await newPlace("waiting"), execution: later },
    hono: { kind: "hono", place: await newPlace("hono") },
    bull: { kind: "bullmq", place: redis.path },
    longshore: { kind: "longshore", place: await newPlace("longshore") },
    durableBull: { kind: "bullmq", place: durableRedis.path },
  });
  return [
    ...rows("Fastify, one SQLite insert", fastify),
    ...rows("Hono, one SQLite insert", hono),
    ...rows("BullMQ behind Fastify, Redis without persistence", bull),
    ...rows("BullMQ behind Fastify, Redis that syncs every command", durableBull),
    ...rows("Longshore, jobs wait", waiting),
    against("… against the bare Fastify route", [waiting, fastify], ">= 0.6x"),
    against("… against the bare Hono route", [waiting, hono], ">= 0.6x"),
    ...rows("Longshore, jobs run", longshore),
    against("… against BullMQ on a Redis that syncs", [longshore, durableBull], ">= 2x"),
    against("… against BullMQ without persistence", [longshore, bull]),
  ];
}

function rows(name: string, { submitsPerSecond, p99Ms }: Measured): readonly Row[] {
  return [
    { name, value: submitsPerSecond, unit: "submits/s" },
    { name: `${name}: p99`, value: p99Ms, unit: "ms" },
  ];
}

function against(
  ...[name, [own, peer], target]: [string, readonly [Measured, Measured], string?]
): Row {
  return {
    name,
    ratio: own.submitsPerSecond / peer.submitsPerSecond,
    ...(target !== undefined && { target }),
  };
}
