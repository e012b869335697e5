import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  allowAllPolicy,
  defineHandler,
  denyAllPolicy,
  echoHandler,
  LongshoreError,
  memoryEventBus,
  memoryJobStore,
  memoryTransport,
  silentLogger,
  startWorker,
  type Handler,
  type HandlerContext,
  type JobStore,
  type JobTransport,
  type Worker,
  type WorkerOptions,
} from "../../src/index.ts";
import { recordStates } from "./recorded-events.ts";

const open: Worker[] = [];
let workDir = "";

async function start(options: Partial<WorkerOptions> = {}): Promise<Worker> {
  const worker = await startWorker({
    policy: allowAllPolicy(),
    handlers: [echoHandler],
    workDir,
    killGraceMs: 50,
    shutdownTimeoutMs: 5_000,
    ...options,
  });
  open.push(worker);
  return worker;
}

/** A handler that runs until it is told to end, and tells when it began. */
function gate(onStart: (context: HandlerContext) => void = () => {}) {
  const ends = new Map<string, (value: unknown) => void>();
  const handler = defineHandler({
    name: "gate",
    operations: ["test.gate"],
    execute(context) {
      onStart(context);
      return new Promise<unknown>((resolve, reject) => {
        ends.set(context.jobId, resolve);
        context.signal.addEventListener("abort", () => reject(context.signal.reason), {
          once: true,
        });
      });
    },
  });
  return {
    handler,
    running: () => ends.size,
    end: (jobId: string, value: unknown = "done") => ends.get(jobId)?.(value),
  };
}

beforeEach(async () => {
  workDir = await mkdtemp(join(tmpdir(), "longshore-worker-"));
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((worker) => worker.stop({ timeoutMs: 0 })));
  await rm(workDir, { recursive: true, force: true });
});

describe("submit", () => {
  it("runs a job and answers with its result", async () => {
    const worker = await start({ id: "w1" });
    const job = await worker.submit({ operation: "system.echo", data: { a: 1 } });
    const result = await job.result();
    expect(result).toMatchObject({
      status: "completed",
      workerId: "w1",
      data: { echo: { a: 1 } },
      history: [{ attempt: 1, status: "completed" }],
    });
    expect((await worker.get(job.jobId))?.state).toBe("completed");
  });

  it("tells each step on the bus, numbered without gaps", async () => {
    const worker = await start();
    const sequences: number[] = [];
    const states = recordStates(worker.events);
    worker.events.on("job.**", ({ data }) => {
      sequences.push((data as { sequence: number }).sequence);
    });
    await (await worker.submit({ operation: "system.echo" })).result();
    await vi.waitFor(() => expect(states).toEqual(["queued", "assigned", "running", "completed"]), {
      timeout: 20_000,
    });
    expect(sequences).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it.each([
    ["POLICY_DENIED", { policy: denyAllPolicy() }, { operation: "system.echo" }],
    ["HANDLER_NOT_FOUND", {}, { operation: "no.such" }],
    ["VALIDATION_ERROR", {}, { operation: "Not An Operation" }],
    ["RUNTIME_NOT_SUPPORTED", {}, { operation: "a.b", runtime: { mode: "process" as const } }],
    ["LIMIT_EXCEEDED", {}, { operation: "system.echo", execution: { timeoutSeconds: 90_000 } }],
    [
      "CAPABILITY_MISMATCH",
      {},
      { operation: "system.echo", constraints: { requiredFeatures: ["x"] } },
    ],
    [
      "DEADLINE_EXCEEDED",
      {},
      { operation: "system.echo", execution: { deadline: "2020-01-01T00:00:00Z" } },
    ],
    ["SIGNATURE_INVALID", { admission: { requireSignature: true } }, { operation: "system.echo" }],
  ])("refuses with %s and stores nothing", async (code, options, input) => {
    const worker = await start(options);
    await expect(worker.submit(input)).rejects.toMatchObject({ code });
    expect((await worker.list()).records).toEqual([]);
  });

  it("refuses what no longer fits into the queue", async () => {
    const { handler } = gate();
    const worker = await start({ handlers: [handler], maxConcurrentJobs: 1, maxQueuedJobs: 1 });
    await worker.submit({ operation: "test.gate" });
    await worker.submit({ operation: "test.gate" });
    await expect(worker.submit({ operation: "test.gate" })).rejects.toMatchObject({
      code: "QUEUE_FULL",
    });
  });

  it("refuses a payload that does not fit the handler, without calling it", async () => {
    const execute = vi.fn<() => string>();
    const handler: Handler = {
      name: "picky",
      operations: ["test.picky"],
      payload: {
        "~standard": {
          version: 1,
          vendor: "test",
          validate: () => ({ issues: [{ message: "no good", path: ["a"] }] }),
        },
      },
      execute,
    };
    const worker = await start({ handlers: [handler] });
    const result = await (await worker.submit({ operation: "test.picky" })).result();
    expect(result).toMatchObject({ status: "failed", error: { code: "VALIDATION_ERROR" } });
    expect(execute).not.toHaveBeenCalled();
  });
});

describe("idempotency", () => {
  const keyed = (data: unknown) => ({
    operation: "system.echo",
    data,
    execution: { idempotencyKey: "k" },
  });

  it("answers a repeated job with the first one's result under the new id (F12)", async () => {
    const worker = await start();
    const first = await worker.submit(keyed(1));
    await first.result();
    const second = await worker.submit(keyed(1));
    expect(second.isDeduplicated).toBe(true);
    expect(await second.result()).toMatchObject({
      jobId: second.jobId,
      data: { echo: 1 },
      executionSummary: { deduplicatedFrom: first.jobId },
    });
  });

  it("runs one of many duplicates that come at the same time (F12)", async () => {
    const { handler, end, running } = gate();
    const worker = await start({ handlers: [handler], maxConcurrentJobs: 10 });
    const input = { operation: "test.gate", execution: { idempotencyKey: "k" } };
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, () => worker.submit(input)),
    );
    const accepted = outcomes.filter((outcome) => outcome.status === "fulfilled");
    expect(accepted).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") {
        expect(outcome.reason).toMatchObject({ code: "IDEMPOTENCY_IN_PROGRESS" });
      }
    }
    await vi.waitFor(() => expect(running()).toBe(1), { timeout: 20_000 });
    const [job] = accepted;
    if (job !== undefined) end(job.value.jobId);
  });

  it("refuses another payload under the same key", async () => {
    const worker = await start();
    await (await worker.submit(keyed(1))).result();
    await expect(worker.submit(keyed(2))).rejects.toMatchObject({ code: "IDEMPOTENCY_KEY_REUSED" });
  });
});

describe("limits", () => {
  it("ends a job that runs too long as timeout, not as failed (F3)", async () => {
    const { handler } = gate();
    const worker = await start({
      handlers: [handler],
      admission: { defaults: { timeoutSeconds: 0.05 } },
    });
    const result = await (await worker.submit({ operation: "test.gate" })).result();
    expect(result).toMatchObject({ status: "timeout", error: { code: "TIMEOUT" } });
  });

  it("stops a running job at its deadline", async () => {
    const { handler } = gate();
    const worker = await start({ handlers: [handler] });
    const deadline = new Date(Date.now() + 100).toISOString();
    const job = await worker.submit({ operation: "test.gate", execution: { deadline } });
    expect(await job.result()).toMatchObject({
      status: "timeout",
      error: { code: "DEADLINE_EXCEEDED" },
    });
  });

  it("ends a job that waits too long as timeout", async () => {
    const { handler } = gate();
    const worker = await start({ handlers: [handler], maxConcurrentJobs: 1 });
    await worker.submit({ operation: "test.gate" });
    const job = await worker.submit({
      operation: "test.gate",
      execution: { queueTimeoutSeconds: 1 },
    });
    expect(await job.result()).toMatchObject({
      status: "timeout",
      error: { code: "QUEUE_TIMEOUT" },
    });
  });

  it("ends a handler that gives no sign of life, and leaves one alone that does", async () => {
    const silent = gate();
    const lively = gate((context) => {
      const timer = setInterval(() => context.heartbeat(), 50);
      context.signal.addEventListener("abort", () => clearInterval(timer), { once: true });
      setTimeout(() => {
        clearInterval(timer);
        lively.end(context.jobId);
      }, 1_500);
    });
    const worker = await start({
      handlers: [
        silent.handler,
        { ...lively.handler, name: "lively", operations: ["test.lively"] },
      ],
    });
    const execution = { heartbeatTimeoutSeconds: 1 };
    const jobs = await Promise.all([
      worker.submit({ operation: "test.gate", execution }),
      worker.submit({ operation: "test.lively", execution }),
    ]);
    const [quiet, alive] = await Promise.all(jobs.map((job) => job.result()));
    expect(quiet).toMatchObject({ status: "timeout", error: { code: "HEARTBEAT_TIMEOUT" } });
    expect(alive?.status).toBe("completed");
  });

  it("gives up on a handler that ignores its signal, and lets its context go dead", async () => {
    let late: HandlerContext | undefined;
    const stuck = defineHandler({
      name: "stuck",
      operations: ["test.stuck"],
      execute(context) {
        late = context;
        return new Promise<never>(() => {});
      },
    });
    const worker = await start({
      handlers: [stuck],
      killGraceMs: 0,
      admission: { defaults: { timeoutSeconds: 0.02 } },
    });
    const result = await (await worker.submit({ operation: "test.stuck" })).result();
    expect(result.status).toBe("timeout");
    await expect(late?.artifact("a.txt", "late")).rejects.toMatchObject({ code: "STATE_CONFLICT" });
    await expect(late?.saveCheckpoint(1)).rejects.toMatchObject({ code: "STATE_CONFLICT" });
  });
});

describe("retry", () => {
  it("tries again after an error that is worth it, and keeps every attempt in the history", async () => {
    let runs = 0;
    const flaky = defineHandler({
      name: "flaky",
      operations: ["test.flaky"],
      async execute(context) {
        runs += 1;
        if (runs < 3) {
          await context.saveCheckpoint({ runs });
          throw new LongshoreError("EXECUTION_ERROR", `attempt ${runs}`);
        }
        return { attempt: context.attempt, checkpoint: context.checkpoint };
      },
    });
    const worker = await start({ handlers: [flaky] });
    const states = recordStates(worker.events);
    const job = await worker.submit({
      operation: "test.flaky",
      execution: { maxAttempts: 5, retry: { baseMs: 1 } },
    });
    const result = await job.result();
    expect(result).toMatchObject({
      status: "completed",
      data: { attempt: 3, checkpoint: { runs: 2 } },
      history: [
        { attempt: 1, status: "queued", error: { code: "EXECUTION_ERROR" } },
        { attempt: 2, status: "queued" },
        { attempt: 3, status: "completed" },
      ],
    });
    await vi.waitFor(() => expect(states.at(-1)).toBe("completed"), { timeout: 20_000 });
    expect(states.filter((state) => state === "queued")).toHaveLength(3);
  });

  it("fails at once for a code that is not worth it", async () => {
    const execute = vi.fn<() => never>(() => {
      throw new LongshoreError("NON_ZERO_EXIT", "connection timeout");
    });
    const worker = await start({ handlers: [{ name: "f", operations: ["test.f"], execute }] });
    const job = await worker.submit({ operation: "test.f", execution: { maxAttempts: 5 } });
    expect((await job.result()).status).toBe("failed");
    expect(execute).toHaveBeenCalledTimes(1);
  });
});

describe("cancel", () => {
  it("ends a waiting job at once", async () => {
    const { handler } = gate();
    const worker = await start({ handlers: [handler], maxConcurrentJobs: 1 });
    await worker.submit({ operation: "test.gate" });
    const waiting = await worker.submit({ operation: "test.gate" });
    expect(await waiting.cancel({ reason: "not needed" })).toBe("cancelled");
    expect(await waiting.result()).toMatchObject({
      status: "cancelled",
      error: { code: "CANCELLED", message: "not needed" },
    });
  });

  it("stops a running job (F6)", async () => {
    const aborted = vi.fn<() => void>();
    const { handler, running } = gate((context) =>
      context.signal.addEventListener("abort", aborted, { once: true }),
    );
    const worker = await start({ handlers: [handler] });
    const job = await worker.submit({ operation: "test.gate" });
    await vi.waitFor(() => expect(running()).toBe(1), { timeout: 20_000 });
    expect(await job.cancel()).toBe("cancelling");
    expect((await job.result()).status).toBe("cancelled");
    expect(aborted).toHaveBeenCalledTimes(1);
    expect(await job.cancel()).toBe("cancelled");
  });

  it("lets a job that finished all the same be completed", async () => {
    const polite = defineHandler({
      name: "polite",
      operations: ["test.polite"],
      execute: (context) =>
        new Promise<string>((resolve) => {
          context.signal.addEventListener("abort", () => resolve("finished"), { once: true });
        }),
    });
    const worker = await start({ handlers: [polite] });
    const job = await worker.submit({ operation: "test.polite" });
    await vi.waitFor(async () => expect((await worker.get(job.jobId))?.state).toBe("running"), {
      timeout: 20_000,
    });
    await job.cancel();
    expect(await job.result()).toMatchObject({ status: "completed", data: "finished" });
  });

  it("refuses to end a running job that may not be cancelled", async () => {
    const { handler, end, running } = gate();
    const worker = await start({ handlers: [handler] });
    const job = await worker.submit({ operation: "test.gate", execution: { cancellable: false } });
    await vi.waitFor(() => expect(running()).toBe(1), { timeout: 20_000 });
    await expect(job.cancel()).rejects.toMatchObject({ code: "NOT_CANCELLABLE" });
    end(job.jobId);
    expect((await job.result()).status).toBe("completed");
  });

  it("ends a job that waits for its next attempt", async () => {
    const failing = defineHandler({
      name: "failing",
      operations: ["test.failing"],
      execute: () => {
        throw new LongshoreError("EXECUTION_ERROR", "again");
      },
    });
    const worker = await start({ handlers: [failing] });
    const job = await worker.submit({
      operation: "test.failing",
      execution: { maxAttempts: 2, retry: { baseMs: 600_000, maxMs: 600_000 } },
    });
    await vi.waitFor(async () => expect((await worker.get(job.jobId))?.attempt).toBe(2), {
      timeout: 20_000,
    });
    expect(await job.cancel()).toBe("cancelled");
  });

  it("says so when there is no such job", async () => {
    const worker = await start();
    await expect(worker.cancel("nobody")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});

describe("stop", () => {
  it("waits for running jobs (F2)", async () => {
    const { handler, end, running } = gate();
    const worker = await start({ handlers: [handler] });
    const job = await worker.submit({ operation: "test.gate" });
    await vi.waitFor(() => expect(running()).toBe(1), { timeout: 20_000 });
    const stopped = worker.stop();
    expect(worker.state).toBe("draining");
    await expect(worker.submit({ operation: "test.gate" })).rejects.toMatchObject({
      code: "WORKER_DRAINING",
    });
    end(job.jobId);
    expect((await job.result()).status).toBe("completed");
    await stopped;
    expect(worker.state).toBe("stopped");
  });

  it("gives unfinished jobs back without using up an attempt", async () => {
    const store = memoryJobStore();
    const { handler, running } = gate();
    const worker = await start({ id: "w", store, handlers: [handler], maxConcurrentJobs: 1 });
    const first = await worker.submit({ operation: "test.gate" });
    const second = await worker.submit({ operation: "test.gate" });
    const waits = [first.result(), second.result()].map((wait) =>
      expect(wait).rejects.toMatchObject({ code: "SHUTDOWN" }),
    );
    await vi.waitFor(() => expect(running()).toBe(1), { timeout: 20_000 });
    await worker.stop({ timeoutMs: 0 });
    await Promise.all(waits);
    const records = (await store.list()).records;
    expect(records.map(({ state, attempt }) => ({ state, attempt }))).toEqual([
      { state: "queued", attempt: 1 },
      { state: "queued", attempt: 1 },
    ]);
    const next = await start({ id: "w", store, handlers: [{ ...handler, execute: () => "ok" }] });
    expect(await next.result(first.jobId)).toMatchObject({ status: "completed", data: "ok" });
    expect((await next.result(second.jobId)).status).toBe("completed");
  });

  it("leaves no job behind that was being stored when the stop began", async () => {
    const store = memoryJobStore();
    const worker = await start({ id: "w", store });
    const submitted = Array.from({ length: 50 }, () => worker.submit({ operation: "system.echo" }));
    const stopped = worker.stop({ timeoutMs: 0 });
    const ends = await Promise.allSettled(
      submitted.map(async (submitting) => (await submitting).result()),
    );
    await stopped;
    for (const end of ends) {
      if (end.status === "fulfilled") expect(end.value.status).toBe("completed");
      else expect(["SHUTDOWN", "WORKER_DRAINING"]).toContain(end.reason.code);
    }
    const next = await start({ id: "w", store });
    for (const { jobId } of (await store.list({ limit: 500 })).records) {
      expect((await next.result(jobId)).status).toBe("completed");
    }
  });

  it("hurries when it is told a second time", async () => {
    const { handler, running } = gate();
    const worker = await start({ handlers: [handler], shutdownTimeoutMs: 600_000 });
    await worker.submit({ operation: "test.gate" });
    await vi.waitFor(() => expect(running()).toBe(1), { timeout: 20_000 });
    const slow = worker.stop();
    await worker.stop({ timeoutMs: 0 });
    await slow;
    expect(worker.state).toBe("stopped");
  });

  it("sets handlers up and tears them down, and removes its work directories", async () => {
    const calls: string[] = [];
    let usedDir = "";
    const worker = await start({
      handlers: [
        {
          name: "tidy",
          operations: ["test.tidy"],
          setup: () => void calls.push("setup"),
          teardown: () => void calls.push("teardown"),
          cleanup: () => void calls.push("cleanup"),
          execute: async (context) => {
            usedDir = context.workDir;
            calls.push(`execute in ${(await readdir(usedDir)).length} files`);
          },
        },
      ],
    });
    await (await worker.submit({ operation: "test.tidy" })).result();
    expect(existsSync(usedDir)).toBe(false);
    await worker.stop();
    expect(calls).toEqual(["setup", "execute in 0 files", "cleanup", "teardown"]);
    expect(await readdir(join(workDir, worker.id))).toEqual([]);
  });

  it("leaves nothing but artifacts in a directory that nobody named", async () => {
    let usedDir = "";
    const handler = defineHandler({
      name: "writer",
      operations: ["test.write", "test.nothing"],
      execute: async (context) => {
        usedDir = context.workDir;
        if (context.operation === "test.write") await context.artifact("out/report.txt", "text");
      },
    });
    for (const [operation, isLeft] of [
      ["test.nothing", false],
      ["test.write", true],
    ] as const) {
      const worker = await start({ handlers: [handler], workDir: undefined });
      const job = await worker.submit({ operation });
      await job.result();
      const directory = dirname(dirname(dirname(usedDir)));
      expect(basename(directory)).toMatch(/^longshore-/);
      await worker.stop();
      expect(existsSync(directory)).toBe(isLeft);
      if (isLeft) {
        expect(await readdir(directory)).toEqual(["artifacts"]);
        await rm(directory, { recursive: true });
      }
    }
  });
});

describe("recovery", () => {
  async function leftovers(store: JobStore, owner: string, leaseExpiresAtMs: number) {
    const { handler, running } = gate();
    const dead = await start({ id: owner, store, handlers: [handler], maxConcurrentJobs: 1 });
    const once = await dead.submit({ operation: "test.gate" });
    const again = await dead.submit({ operation: "test.gate", execution: { maxAttempts: 2 } });
    await vi.waitFor(() => expect(running()).toBe(1), { timeout: 20_000 });
    // The process dies: its records stay as they are.
    const records = (await store.list({ order: "oldest" })).records;
    expect(records.map(({ state }) => state)).toEqual(["running", "queued"]);
    await store.renewLeases(owner, leaseExpiresAtMs);
    return { dead, once, again };
  }

  it("takes its own jobs up again and ends those whose attempts are used up", async () => {
    const store = memoryJobStore();
    const { once, again } = await leftovers(store, "w", Date.now() + 600_000);
    const done = defineHandler({ name: "g", operations: ["test.gate"], execute: () => "ok" });
    const worker = await start({ id: "w", store, handlers: [done] });
    expect(await worker.result(once.jobId)).toMatchObject({
      status: "abandoned",
      error: { code: "WORKER_LOST" },
    });
    expect((await worker.result(again.jobId)).status).toBe("completed");
  });

  it("leaves a living worker's jobs alone, and takes a dead one's over", async () => {
    const store = memoryJobStore();
    const { again } = await leftovers(store, "other", Date.now() + 600_000);
    const done = defineHandler({ name: "g", operations: ["test.gate"], execute: () => "ok" });
    const worker = await start({ id: "w", store, handlers: [done] });
    expect((await worker.get(again.jobId))?.owner).toBe("other");
    await store.renewLeases("other", Date.now() - 1);
    const heir = await start({ id: "heir", store, handlers: [done] });
    expect((await heir.result(again.jobId)).status).toBe("completed");
  });

  it("counts the attempt of a job that ran when its worker died", async () => {
    const store = memoryJobStore();
    const { handler, running } = gate();
    const dead = await start({ id: "w", store, handlers: [handler] });
    const job = await dead.submit({ operation: "test.gate", execution: { maxAttempts: 2 } });
    await vi.waitFor(() => expect(running()).toBe(1), { timeout: 20_000 });
    const done = defineHandler({
      name: "g",
      operations: ["test.gate"],
      execute: (context) => context.attempt,
    });
    const worker = await start({ id: "w", store, handlers: [done] });
    expect(await worker.result(job.jobId)).toMatchObject({
      status: "completed",
      data: 2,
      history: [{ attempt: 1, status: "abandoned" }, { attempt: 2 }],
    });
  });
});

describe("stop", () => {
  it("waits for no teardown and no transport that hang, and says which they are", async () => {
    const errors: string[] = [];
    const never = new Promise<never>(() => undefined);
    const torn = vi.fn<() => void>();
    const hanging: JobTransport = {
      ...memoryTransport(),
      name: "stuck",
      [Symbol.asyncDispose]: () => never,
    };
    const worker = await startWorker({
      policy: allowAllPolicy(),
      workDir,
      teardownTimeoutMs: 20,
      logger: {
        ...silentLogger,
        error: (fields: unknown) => void errors.push(inspect(fields, { depth: 5 })),
      },
      transports: [hanging],
      handlers: [
        { ...echoHandler, teardown: torn },
        { name: "hangs", operations: ["test.hangs"], execute: () => 1, teardown: () => never },
      ],
    });
    await worker.stop();
    expect(worker.state).toBe("stopped");
    expect(torn).toHaveBeenCalledTimes(1);
    expect(errors.join("\n")).toMatch(/teardown of the handler "hangs" has not ended within 20 ms/);
    expect(errors.join("\n")).toMatch(
      /closing of the transport "stuck" has not ended within 20 ms/,
    );
  });
});

describe("start", () => {
  it("leaves nothing behind when a handler cannot be set up", async () => {
    const teardown = vi.fn<() => void>();
    await expect(
      startWorker({
        policy: allowAllPolicy(),
        workDir,
        handlers: [
          { ...echoHandler, teardown },
          {
            name: "broken",
            operations: ["test.broken"],
            setup: () => {
              throw new Error("no device");
            },
            execute: () => 1,
          },
        ],
      }),
    ).rejects.toThrow('The handler "broken" could not be set up');
    expect(teardown).toHaveBeenCalledTimes(1);
  });

  it("refuses two handlers for one operation, an id that could leave a directory, and bad numbers", async () => {
    const policy = allowAllPolicy();
    await expect(
      startWorker({ policy, handlers: [echoHandler, echoHandler] }),
    ).rejects.toMatchObject({
      code: "DUPLICATE_HANDLER",
    });
    await expect(startWorker({ policy, id: "../up" })).rejects.toThrow(RangeError);
    await expect(startWorker({ policy, maxConcurrentJobs: 0 })).rejects.toThrow(RangeError);
    await expect(startWorker({ policy, transports: [{ type: "pigeon" }] })).rejects.toMatchObject({
      code: "CONFIG_ERROR",
    });
  });

  it("does not start when it is aborted already", async () => {
    await expect(
      startWorker({ policy: allowAllPolicy(), signal: AbortSignal.abort(new Error("enough")) }),
    ).rejects.toThrow("enough");
  });
});

describe("health", () => {
  it("says what each part says, and how busy the worker is", async () => {
    const { handler, running } = gate();
    const worker = await start({
      handlers: [handler],
      maxConcurrentJobs: 1,
      events: memoryEventBus(),
    });
    expect(await worker.health()).toMatchObject({ status: "ok", state: "ready" });
    await worker.submit({ operation: "test.gate" });
    await worker.submit({ operation: "test.gate" });
    await vi.waitFor(() => expect(running()).toBe(1), { timeout: 20_000 });
    expect(await worker.health()).toMatchObject({
      state: "busy",
      load: { runningJobs: 1, queuedJobs: 1, maxConcurrentJobs: 1 },
    });
  });
});
