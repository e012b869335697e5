import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import autocannon, { type Result } from "autocannon";
import { startRedis, type Persistence } from "./redis-server.ts";
import type { Row } from "./table.ts";
import { temporaryDirectory } from "./workplace.ts";

const connections = 64;
const warmUpSeconds = 2;
const seconds = 6;

type Kind = "fastify" | "hono" | "bullmq" | "longshore";

interface Measured {
  readonly submitsPerSecond: number;
  readonly p99Ms: number;
}

/** Loads one server that runs in a process of its own. */
async function measure(kind: Kind, place: string, execution: object = {}): Promise<Measured> {
  const program = fileURLToPath(new URL("./http-server.ts", import.meta.url));
  const child = fork(program, [kind, place], {
    execArgv: ["--conditions=@longshore/source", "--no-warnings"],
  });
  const exited = once(child, "exit");
  try {
    const [{ url }] = (await once(child, "message")) as [{ readonly url: string }];
    await load(url, warmUpSeconds, execution);
    const { requests, latency } = await load(url, seconds, execution);
    return { submitsPerSecond: requests.average, p99Ms: latency.p99 };
  } finally {
    child.disconnect();
    await exited;
  }
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

async function measureBullMq(persistence: Persistence): Promise<Measured> {
  await using redis = await startRedis(persistence);
  return await measure("bullmq", redis.path);
}

/** Submits over HTTP: beside a bare route that does one SQLite insert, and BullMQ behind the same framework. */
export async function benchHttpSubmits(): Promise<readonly Row[]> {
  await using place = await temporaryDirectory();
  const newPlace = async (name: string): Promise<string> => {
    const path = join(place.directory, name);
    await mkdir(path);
    return path;
  };
  const fastify = await measure("fastify", await newPlace("fastify"));
  const longshore = await measure("longshore", await newPlace("longshore"));
  const hono = await measure("hono", await newPlace("hono"));
  const later = { not_before: new Date(Date.now() + 86_400_000).toISOString() };
  const waiting = await measure("longshore", await newPlace("waiting"), later);
  const bull = await measureBullMq("none");
  const durableBull = await measureBullMq("always");
  return [
    row("Fastify, one SQLite insert", fastify),
    row("Hono, one SQLite insert", hono),
    row("BullMQ behind Fastify, Redis without persistence", bull),
    row("BullMQ behind Fastify, Redis that syncs every command", durableBull),
    row("Longshore, jobs are stored and run", longshore),
    row("Longshore, jobs are stored and wait", waiting),
    against("… against the bare Fastify route", waiting, fastify, ">= 0.6x"),
    against("… against the bare Hono route", waiting, hono, ">= 0.6x"),
    against(
      "Longshore, run, against BullMQ on a Redis that syncs",
      longshore,
      durableBull,
      ">= 2x",
    ),
    against("Longshore, run, against BullMQ without persistence", longshore, bull),
    ...[["Fastify", fastify] as const, ["BullMQ that syncs", durableBull] as const].map(
      ([name, { p99Ms }]): Row => ({ name: `${name}: p99`, value: p99Ms, unit: "ms" }),
    ),
    { name: "Longshore, run: p99", value: longshore.p99Ms, unit: "ms" },
    { name: "Longshore, wait: p99", value: waiting.p99Ms, unit: "ms" },
  ];
}

function row(name: string, { submitsPerSecond }: Measured): Row {
  return { name, value: submitsPerSecond, unit: "submits/s" };
}

function against(...[name, measured, peer, target]: [string, Measured, Measured, string?]): Row {
  return {
    name,
    ratio: measured.submitsPerSecond / peer.submitsPerSecond,
    ...(target !== undefined && { target }),
  };
}
