import { DatabaseSync } from "node:sqlite";
import { serve } from "@hono/node-server";
import { allowAllPolicy, echoHandler, startWorker } from "@longshore/core";
import { sqliteJobStore } from "@longshore/store-sqlite";
import { serveWorkerApi } from "@longshore/transport-http";
import { Queue, Worker as BullWorker } from "bullmq";
import Fastify from "fastify";
import { Hono } from "hono";
import { Redis } from "ioredis";

/**
 * One server of the HTTP benchmark, in a process of its own: `http-server.ts <kind> <directory or socket of Redis>`.
 * Each takes `POST /jobs` and answers 202 once the job is stored; it tells its address and ends with its parent.
 */
const [kind = "", place = ""] = process.argv.slice(2);

interface Job {
  readonly job_id: string;
  readonly operation: string;
  readonly payload: { readonly data: unknown };
}

const accepted = (jobId: string) => ({ accepted: true, job_id: jobId, state: "queued" });

/** One insert in a transaction of its own, on the disk when it returns, as a short program would do it. */
function openTable(): (job: Job) => void {
  const database = new DatabaseSync(`${place}/jobs.db`);
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  database.exec("CREATE TABLE jobs (job_id TEXT PRIMARY KEY, state TEXT, document TEXT) STRICT");
  const insert = database.prepare("INSERT INTO jobs VALUES (?, 'queued', ?)");
  return (job) => {
    insert.run(job.job_id, JSON.stringify(job));
  };
}

async function serveFastify(store: (job: Job) => Promise<void> | void): Promise<string> {
  const app = Fastify();
  app.post<{ Body: Job }>("/jobs", async ({ body }, reply) => {
    await store(body);
    return reply.code(202).send(accepted(body.job_id));
  });
  return app.listen({ port: 0, host: "127.0.0.1" });
}

function serveHono(store: (job: Job) => void): Promise<string> {
  const app = new Hono();
  app.post("/jobs", async (context) => {
    const job = await context.req.json<Job>();
    store(job);
    return context.json(accepted(job.job_id), 202);
  });
  return new Promise((resolve) => {
    serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, ({ port }) => {
      resolve(`http://127.0.0.1:${port}`);
    });
  });
}

async function serveBullMq(): Promise<string> {
  const connect = (): Redis => new Redis({ path: place, maxRetriesPerRequest: null });
  const queue = new Queue<unknown>("echo", { connection: connect() });
  const worker = new BullWorker("echo", async ({ data }) => ({ echo: data as unknown }), {
    connection: connect(),
    concurrency: 64,
    removeOnComplete: { count: 1_000 },
  });
  await worker.waitUntilReady();
  return serveFastify(async (job) => {
    await queue.add(job.operation, job.payload.data, { jobId: job.job_id });
  });
}

async function serveLongshore(): Promise<string> {
  const store = sqliteJobStore({ path: `${place}/jobs.db`, keepEvents: true });
  const policy = allowAllPolicy();
  const worker = await startWorker({
    policy,
    store,
    handlers: [echoHandler],
    maxConcurrentJobs: 64,
    maxQueuedJobs: 10_000_000,
  });
  const { url } = await serveWorkerApi({ worker, store, policy, port: 0 });
  return url;
}

async function open(): Promise<string> {
  switch (kind) {
    case "fastify":
      return serveFastify(openTable());
    case "hono":
      return serveHono(openTable());
    case "bullmq":
      return serveBullMq();
    case "longshore":
      return serveLongshore();
    default:
      throw new Error(`there is no server "${kind}"`);
  }
}

process.once("disconnect", () => process.exit());
process.send?.({ url: await open() });
