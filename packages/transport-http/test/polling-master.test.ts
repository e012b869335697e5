import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import {
  allowAllPolicy,
  defineHandler,
  echoHandler,
  encodeJobDocument,
  LongshoreError,
  memoryJobStore,
  startWorker,
  toJobError,
  type Handler,
  type Policy,
  type Worker,
} from "@longshore/core";
import { recordingSink, sampleDocument, sampleResult } from "@longshore/testkit";
import { describe, expect, it } from "vitest";
import { bearerTokens, createMaster, createToken } from "../src/index.ts";
import { collect } from "./fixtures/collect.ts";
import { post, wireJob } from "./fixtures/served-worker.ts";
import { serveMaster, type ServedMaster } from "./fixtures/served-master.ts";

function startPollingWorker(
  master: ServedMaster,
  id: string,
  handlers: readonly Handler[] = [echoHandler],
): Promise<Worker> {
  return startWorker({
    id,
    policy: allowAllPolicy(),
    handlers,
    transports: [master.open()],
  });
}

describe("a job", () => {
  it("goes from a client through the master to a worker, and its story and result back (F14, F21)", async () => {
    await using master = await serveMaster();
    await using _worker = await startPollingWorker(master, "w1");
    const { jobId } = await master.client.submit({ operation: "system.echo", data: "hi" });
    const story = await collect(master.client.events(jobId));
    expect(story.map(({ sequence }) => sequence)).toEqual(story.map((_event, index) => index));
    expect(story.map(({ phase }) => phase)).toEqual([
      "queued",
      "assigned",
      "running",
      "validation",
      "execution",
      "completion",
      "completed",
    ]);
    const rest = await collect(master.client.events(jobId, { afterSequence: 3 }));
    expect(rest).toEqual(story.slice(4));
    expect(await master.client.result(jobId)).toMatchObject({
      status: "completed",
      workerId: "w1",
      data: { echo: "hi" },
    });
    expect(await master.client.get(jobId)).toMatchObject({ state: "completed", workerId: "w1" });
  });

  it("goes to a worker that can run it", async () => {
    await using master = await serveMaster();
    const other = defineHandler({ name: "o", operations: ["other.work"], execute: () => "done" });
    await using echo = await startPollingWorkerWith(master, "w1", [echoHandler]);
    const { jobId } = await master.client.submit({ operation: "other.work" });
    const pinned = await master.client.submit({
      operation: "system.echo",
      routing: { workerId: "w2" },
    });
    // A job that comes later shows that the worker is asked for, and the first two still wait.
    const later = await master.client.submit({ operation: "system.echo" });
    await master.client.result(later.jobId);
    expect(await master.client.get(jobId)).toMatchObject({ state: "queued" });
    expect(await master.client.get(pinned.jobId)).toMatchObject({ state: "queued" });
    await using _able = await startPollingWorkerWith(master, "w2", [echoHandler, other]);
    expect(await master.client.result(jobId)).toMatchObject({
      status: "completed",
      workerId: "w2",
    });
    expect(await master.client.result(pinned.jobId)).toMatchObject({ workerId: "w2" });
    expect(echo.load.runningJobs).toBe(0);
  });

  it("of a higher priority is taken first", async () => {
    await using master = await serveMaster();
    for (const priority of [1, 9, 5, 9]) {
      await master.client.submit({
        jobId: `p${priority}-${Math.random().toString(36).slice(2)}`,
        operation: "test.sample",
        execution: { priority },
      });
    }
    const sink = recordingSink();
    await using transport = master.open();
    await transport.start(sink, { workerId: "w1" });
    await sink.nth(4);
    expect(sink.deliveries.map(({ name }) => name.slice(0, 2))).toEqual(["p9", "p9", "p5", "p1"]);
  });

  it("that no worker takes in time ends as timeout", async () => {
    await using master = await serveMaster();
    const { jobId } = await master.client.submit({
      operation: "test.sample",
      execution: { queueTimeoutSeconds: 1 },
    });
    expect(await master.client.result(jobId)).toMatchObject({
      status: "timeout",
      error: { code: "QUEUE_TIMEOUT" },
    });
  });

  it("comes to the worker as it was signed, whatever else is written into it", async () => {
    await using master = await serveMaster();
    const signed = {
      ...wireJob("signed-1", "test.sample"),
      payload: { data: { b: 1, a: [] } },
      "x-vendor": { kept: true },
      signature: { algorithm: "ed25519", public_key_id: "k", value: "AAAA" },
    };
    const old = {
      protocol_version: 1,
      job_id: "old-1",
      task: { type: "a.b" },
      runtime: { mode: "image", image: "a" },
    };
    const forged = {
      ...wireJob("forged-1", "test.sample"),
      "longshore.dev/sent": wireJob("forged-1", "system.shutdown"),
      original: { task: { type: "system.shutdown" } },
    };
    for (const document of [signed, old, forged]) {
      expect((await post(`${master.url}/jobs`, document)).status).toBe(202);
    }
    const sink = recordingSink();
    await using transport = master.open();
    await transport.start(sink, { workerId: "w1" });
    await sink.nth(3);
    const received = sink.deliveries.map(
      ({ body }) => JSON.parse(Buffer.from(body).toString()) as Record<string, unknown>,
    );
    expect(received[0]).toEqual(signed);
    expect(received[1]).toEqual(old);
    expect(received[2]).toMatchObject({ job_id: "forged-1", operation: "test.sample" });
    expect(received[2]).not.toHaveProperty(["longshore.dev/sent"]);
  });
});

function startPollingWorkerWith(
  master: ServedMaster,
  id: string,
  handlers: readonly Handler[],
): Promise<Worker> {
  const operations = handlers.flatMap((handler) => handler.operations);
  return startWorker({
    id,
    policy: allowAllPolicy(),
    handlers,
    transports: [
      master.open({
        worker: {
          capabilities: {
            runtimes: [],
            runtimeVersions: {},
            interpreters: [],
            operations,
            features: [],
            formats: {},
            sandboxBackends: [],
            devices: {},
            limits: { maxConcurrentJobs: 4, memoryMb: 1_024, cpus: 2 },
            privileged: false,
            workerVersion: "0.1.0",
            protocolVersions: ["1.0"],
            dataLocality: [],
            extra: {},
          },
        },
      }),
    ],
  });
}

describe("a lease that runs out", () => {
  it("gives the job to another worker, whose result alone counts", async () => {
    await using master = await serveMaster();
    const document = sampleDocument({ execution: { maxAttempts: 2 } });
    await using late = master.open({ leaseMs: 200 });
    const lateSink = recordingSink();
    await late.start(lateSink, { workerId: "w1" });
    await master.client.submitDocument(encodeJobDocument(document));
    const { leaseId } = await lateSink.nth(1);
    await late.pause();
    await using heir = master.open();
    const heirSink = recordingSink();
    await heir.start(heirSink, { workerId: "w2" });
    const taken = await heirSink.nth(1);
    expect(taken.attempt).toBe(2);
    await expect(late.ack(leaseId, sampleResult(document, "failed"))).rejects.toMatchObject({
      code: "LEASE_LOST",
    });
    await heir.ack(taken.leaseId, sampleResult(document));
    const result = await master.client.result(document.jobId);
    expect(result.status).toBe("completed");
    expect(result.history[0]).toMatchObject({
      attempt: 1,
      workerId: "w1",
      status: "queued",
      error: { code: "WORKER_LOST" },
    });
  });

  it("takes nothing from a worker that is late as long as nobody else has the job", async () => {
    await using master = await serveMaster();
    const document = sampleDocument();
    await using transport = master.open({ leaseMs: 200 });
    const sink = recordingSink();
    await transport.start(sink, { workerId: "w1" });
    await master.client.submitDocument(encodeJobDocument(document));
    const { leaseId } = await sink.nth(1);
    await pause(400);
    await transport.extend(leaseId);
    await transport.ack(leaseId, sampleResult(document));
    expect((await master.client.result(document.jobId)).status).toBe("completed");
  });

  it("ends a job whose attempts are used up, once its worker had its time to answer", async () => {
    await using master = await serveMaster({ graceMs: 300 });
    await using transport = master.open({ leaseMs: 100 });
    const sink = recordingSink();
    await transport.start(sink, { workerId: "w1" });
    const { jobId } = await master.client.submit({ operation: "test.sample" });
    const { leaseId } = await sink.nth(1);
    await transport.pause();
    expect(await master.client.result(jobId)).toMatchObject({
      status: "abandoned",
      workerId: "w1",
      error: { code: "WORKER_LOST" },
      history: [{ attempt: 1, workerId: "w1", status: "abandoned" }],
    });
    await expect(transport.extend(leaseId)).rejects.toMatchObject({ code: "LEASE_LOST" });
  });
});

describe("a job that is given back", () => {
  it("ends as failed, with the worker's reason, when it was the last attempt", async () => {
    await using master = await serveMaster();
    await using transport = master.open();
    const sink = recordingSink();
    await transport.start(sink, { workerId: "w1" });
    const { jobId } = await master.client.submit({ operation: "test.sample" });
    const { leaseId } = await sink.nth(1);
    const error = toJobError(new LongshoreError("INTERNAL_ERROR", "it broke"));
    await transport.nack(leaseId, error, { requeue: true });
    expect(await master.client.result(jobId)).toMatchObject({
      status: "failed",
      error: { code: "INTERNAL_ERROR", message: "it broke" },
    });
  });
});

describe("a cancel", () => {
  it("reaches a running job at once, through a poll that waits (F6)", async () => {
    await using master = await serveMaster();
    let ended = Promise.withResolvers<number>();
    const endless = defineHandler({
      name: "endless",
      operations: ["test.endless"],
      async execute({ signal }) {
        await once(signal, "abort");
        ended.resolve(performance.now());
        throw signal.reason;
      },
    });
    let polls = 0;
    await using _worker = await startWorker({
      id: "w1",
      policy: allowAllPolicy(),
      handlers: [endless],
      transports: [
        master.open({
          fetch: (input, init) => {
            if (new Request(input).url.endsWith("/poll")) polls += 1;
            return fetch(input, init);
          },
        }),
      ],
    });
    const tookMs: number[] = [];
    for (let count = 0; count < 3; count += 1) {
      ended = Promise.withResolvers();
      const { jobId } = await master.client.submit({ operation: "test.endless" });
      await expect.poll(async () => (await master.client.get(jobId)).state).toBe("running");
      const pollsBefore = polls;
      const askedAtMs = performance.now();
      expect(await master.client.cancel(jobId, { reason: "not wanted" })).toBe("cancelling");
      expect(await master.client.result(jobId)).toMatchObject({ status: "cancelled" });
      tookMs.push((await ended.promise) - askedAtMs);
      expect(polls - pollsBefore).toBeLessThanOrEqual(2);
      expect(await master.client.cancel(jobId)).toBe("cancelled");
    }
    // One that is late may be the machine's fault.
    expect(Math.min(...tookMs)).toBeLessThan(1_000);
  });

  it("ends a job that waits at once, and one that may not be cancelled not at all", async () => {
    await using master = await serveMaster();
    const waiting = await master.client.submit({ operation: "test.sample" });
    expect(await master.client.cancel(waiting.jobId)).toBe("cancelled");
    await using transport = master.open();
    const sink = recordingSink();
    await transport.start(sink, { workerId: "w1" });
    const firm = await master.client.submit({
      operation: "test.sample",
      execution: { cancellable: false },
    });
    await sink.nth(1);
    await expect(master.client.cancel(firm.jobId)).rejects.toMatchObject({
      code: "NOT_CANCELLABLE",
    });
    expect(await master.client.cancel(firm.jobId, { force: true })).toBe("cancelling");
    await expect.poll(() => sink.cancelled).toEqual([firm.jobId]);
  });
});

describe("who is not allowed", () => {
  const onlyW1: Policy = {
    name: "only-w1",
    check: ({ subject, object, action }) =>
      Promise.resolve({
        allowed:
          subject === "token:client"
            ? object.startsWith("job:")
            : subject === "token:w1" && object === "worker:w1" && action === "serve",
      }),
  };

  it("can neither poll as a worker nor answer for one, nor see a lease", async () => {
    const directory = await mkdtemp(join(tmpdir(), "longshore-tokens-"));
    try {
      const file = join(directory, "tokens.json");
      const [{ token: w1 }, { token: client }] = [
        await createToken(file, { subject: "token:w1" }),
        await createToken(file, { subject: "token:client" }),
      ];
      await using master = await serveMaster({
        policy: onlyW1,
        authenticators: [bearerTokens(file)],
      });
      await using nobody = master.open();
      await expect(nobody.start(recordingSink(), { workerId: "w1" })).rejects.toMatchObject({
        code: "UNAUTHENTICATED",
      });
      await using other = master.open({ token: w1 });
      await expect(other.start(recordingSink(), { workerId: "w2" })).rejects.toMatchObject({
        code: "POLICY_DENIED",
      });
      await using transport = master.open({ token: () => Promise.resolve(w1) });
      const sink = recordingSink();
      await transport.start(sink, { workerId: "w1" });
      const asClient = { authorization: `Bearer ${client}` };
      expect((await post(`${master.url}/jobs`, wireJob("j1", "a.b"), asClient)).status).toBe(202);
      const { leaseId } = await sink.nth(1);
      const secret = leaseId.slice("j1~".length);
      for (const path of ["/jobs/j1", "/jobs", "/jobs/j1/logs"]) {
        const shown = await (await fetch(`${master.url}${path}`, { headers: asClient })).text();
        expect(shown).not.toContain(secret);
      }
      const stolen = await post(`${master.url}/leases/${leaseId}/extend`, {}, asClient);
      expect(stolen.status).toBe(403);
      expect(
        (await post(`${master.url}/jobs`, wireJob("j2", "a.b"), { authorization: `Bearer ${w1}` }))
          .status,
      ).toBe(403);
      await transport.extend(leaseId);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });

  it("is not served at all from another host without credentials", async () => {
    const store = memoryJobStore({ keepEvents: true });
    await expect(
      createMaster({ store, policy: allowAllPolicy(), host: "0.0.0.0", port: 0 }),
    ).rejects.toMatchObject({ code: "CONFIG_ERROR" });
    await expect(
      createMaster({ store: memoryJobStore(), policy: allowAllPolicy(), port: 0 }),
    ).rejects.toMatchObject({ code: "CONFIG_ERROR" });
  });
});
