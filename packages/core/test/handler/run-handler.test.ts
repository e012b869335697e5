import { existsSync, readdirSync, statSync } from "node:fs";
import { chmod, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { LongshoreError, type HandlerContext } from "../../src/index.ts";
import { handlerBench, type HandlerBench } from "./handler-bench.ts";

let bench: HandlerBench;
beforeEach(async () => {
  bench = await handlerBench();
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

const leftovers = (): readonly string[] =>
  existsSync(bench.workRoot) ? readdirSync(bench.workRoot) : [];

describe("payload", () => {
  const payload = z.object({
    size: z.coerce.number().min(1),
    tags: z.array(z.string()).default([]),
  });

  it("reaches the handler as its schema made it", async () => {
    const { outcome } = await bench.run(
      { payload, execute: (_context, value) => value },
      { size: "3" },
    );
    expect(outcome.data).toEqual({ size: 3, tags: [] });
  });

  it("that does not fit is refused with every issue, and the handler is not touched", async () => {
    const execute = vi.fn<() => void>();
    const cleanup = vi.fn<() => void>();
    const { error, outcome } = await bench.run(
      { payload, execute, cleanup },
      { size: 0, tags: ["a", 7] },
    );
    expect(error).toMatchObject({
      code: "VALIDATION_ERROR",
      phase: "validation",
      retryable: false,
      details: { issues: [{ path: "payload.data.size" }, { path: "payload.data.tags[1]" }] },
    });
    expect(outcome).toEqual({});
    expect(execute).not.toHaveBeenCalled();
    expect(cleanup).not.toHaveBeenCalled();
  });

  it("may be checked by a schema that takes its time", async () => {
    const { error } = await bench.run(
      { payload: z.unknown().refine(() => Promise.resolve(false), "not today") },
      {},
    );
    expect(error).toMatchObject({
      code: "VALIDATION_ERROR",
      message: expect.stringContaining("not today"),
    });
  });
});

describe("result", () => {
  it("is what the handler's schema makes of it", async () => {
    const { outcome } = await bench.run({
      result: z.object({ at: z.date().transform((date) => date.toISOString()) }),
      execute: () => ({ at: new Date(0) }),
    });
    expect(outcome.data).toEqual({ at: "1970-01-01T00:00:00.000Z" });
  });

  it("that its own schema refuses fails the job for good", async () => {
    const { error, outcome } = await bench.run({
      result: z.object({ count: z.number() }),
      execute: () => ({ count: "many" }),
    });
    expect(error).toMatchObject({
      code: "EXECUTION_ERROR",
      phase: "result",
      retryable: false,
      details: { issues: [{ path: "data.count" }] },
    });
    expect(outcome).not.toHaveProperty("data");
  });

  it.each([
    ["a bigint", 1n],
    ["a function", () => 1],
    ["a symbol", Symbol("s")],
  ])("cannot be %s", async (_what, value) => {
    const { error } = await bench.execute(() => value);
    expect(error).toMatchObject({ code: "SERIALIZATION_ERROR", phase: "result" });
  });

  it("is limited in bytes, not characters", async () => {
    const limits = { maxResultBytes: 20 };
    const fits = await bench.execute(() => "x".repeat(18), { limits });
    const tooLong = await bench.execute(() => "€".repeat(7), { limits });
    expect(fits.error).toBeUndefined();
    expect(tooLong.error).toMatchObject({ code: "LIMIT_EXCEEDED", details: { byteLength: 23 } });
  });

  it("may be nothing", async () => {
    expect(await bench.execute(() => undefined)).toEqual({ outcome: {} });
  });
});

describe("report", () => {
  it("adds to the result, also of a handler that then fails", async () => {
    const failure = new LongshoreError("NON_ZERO_EXIT", "exit 3");
    const { outcome, error } = await bench.execute((context) => {
      context.report({ stdout: "hello", metrics: { lines: 1 } });
      context.report({ exitCode: 3 });
      throw failure;
    });
    expect(error).toBe(failure);
    expect(outcome).toEqual({ stdout: "hello", exitCode: 3, metrics: { lines: 1 } });
  });

  it("refuses what could not be stored: it would make the job's end unwritable", async () => {
    const { outcome, error } = await bench.execute((context) => {
      context.report({ stdout: "kept" });
      context.report({ data: { count: 1n } });
    });
    expect(error).toMatchObject({ code: "SERIALIZATION_ERROR" });
    expect(outcome).toEqual({ stdout: "kept" });
  });
});

describe("failures", () => {
  it("are handed on as they were thrown", async () => {
    const failure = new LongshoreError("DISK_ON_FIRE", "too hot", { retryable: true });
    const { error } = await bench.execute(() => Promise.reject(failure));
    expect(error).toBe(failure);
  });

  it("count as failures also when nothing was thrown", async () => {
    const { error } = await bench.execute(() => Promise.reject(undefined));
    expect(error).toMatchObject({ code: "EXECUTION_ERROR" });
  });
});

describe("abort", () => {
  it("before the start keeps the handler from running", async () => {
    const reason = new LongshoreError("CANCELLED", "never mind");
    const execute = vi.fn<() => void>();
    const { error } = await bench.run({ execute }, {}, { signal: AbortSignal.abort(reason) });
    expect(error).toBe(reason);
    expect(execute).not.toHaveBeenCalled();
  });

  it("while the payload is checked keeps the handler from running, and cleanup is called", async () => {
    const controller = new AbortController();
    const reason = new LongshoreError("CANCELLED", "never mind");
    const execute = vi.fn<() => void>();
    const cleanup = vi.fn<() => void>();
    const payload = z.unknown().transform((value) => {
      controller.abort(reason);
      return value;
    });
    const { error } = await bench.run(
      { payload, execute, cleanup },
      {},
      { signal: controller.signal },
    );
    expect(error).toBe(reason);
    expect(execute).not.toHaveBeenCalled();
    expect(cleanup).toHaveBeenCalledTimes(1);
  });

  it("leaves no listener on the signal", async () => {
    const { signal } = new AbortController();
    const add = vi.spyOn(signal, "addEventListener");
    const remove = vi.spyOn(signal, "removeEventListener");
    await bench.execute((context) => context.artifact("a.txt", "a"), { signal });
    expect(remove.mock.calls.length).toBe(add.mock.calls.length);
  });
});

describe("cleanup", () => {
  it("is called after success and failure, with the context alive", async () => {
    const cleanup = vi.fn<(context: HandlerContext) => void>((context) => {
      context.log("cleaning");
    });
    await bench.run({ cleanup });
    await bench.run({
      cleanup,
      execute: () => {
        throw new Error("no");
      },
    });
    expect(cleanup).toHaveBeenCalledTimes(2);
    expect(bench.events.map(({ message }) => message)).toEqual(["cleaning", "cleaning"]);
  });

  it("that fails is logged and changes nothing", async () => {
    const failure = new Error("stuck");
    const { outcome, error } = await bench.run({
      execute: () => "done",
      cleanup: () => Promise.reject(failure),
    });
    expect({ outcome, error }).toEqual({ outcome: { data: "done" }, error: undefined });
    expect(bench.errors).toMatchObject([
      { message: "handler cleanup failed", fields: { err: failure, handler: "bench" } },
    ]);
  });

  it("may still add to the result", async () => {
    const { outcome } = await bench.run({
      execute: () => "done",
      cleanup: async (context) => {
        await context.artifact("log.txt", "tail");
        context.report({ metrics: { closed: 1 } });
      },
    });
    expect(outcome).toMatchObject({
      data: "done",
      metrics: { closed: 1 },
      outputs: { artifacts: [{ path: "log.txt" }] },
    });
  });
});

describe("work directory", () => {
  it("is made when asked for, private and empty, and is gone afterwards with all that is in it", async () => {
    let seen = { path: "", mode: 0, names: ["?"], again: "" };
    await bench.execute(async ({ workDir, ...context }: HandlerContext) => {
      seen = {
        path: workDir,
        mode: statSync(workDir).mode & 0o777,
        names: readdirSync(workDir),
        again: context.jobId,
      };
      await mkdir(join(workDir, "a/b"), { recursive: true });
      await writeFile(join(workDir, "a/b/c.txt"), "x");
    });
    expect(seen).toEqual({
      path: expect.stringMatching(/\/job-1-1-[0-9a-f]{12}$/),
      mode: 0o700,
      names: [],
      again: "job-1",
    });
    expect(leftovers()).toEqual([]);
  });

  it("costs nothing when nobody asks for it", async () => {
    await bench.execute(() => "done");
    expect(existsSync(bench.workRoot)).toBe(false);
  });

  it("is its own for each attempt, and gone after a failure too", async () => {
    const paths: string[] = [];
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      await bench.execute((context) => {
        paths.push(context.workDir, context.workDir);
        throw new Error("no");
      });
    }
    expect(new Set(paths).size).toBe(2);
    expect(leftovers()).toEqual([]);
  });

  it("is removed without following links out of it", async () => {
    const outside = join(bench.workRoot, "..", "outside");
    await mkdir(outside, { recursive: true });
    await writeFile(join(outside, "precious.txt"), "keep me");
    await bench.execute(async ({ workDir }) => {
      await symlink(outside, join(workDir, "link"));
    });
    // Nor when the directory itself was replaced by one.
    await bench.execute(async ({ workDir }) => {
      await rm(workDir, { recursive: true });
      await symlink(outside, workDir);
    });
    expect(leftovers()).toEqual([]);
    expect(await readFile(join(outside, "precious.txt"), "utf8")).toBe("keep me");
  });
});

describe("a work directory with parts that may not be written", () => {
  const isRoot = process.geteuid?.() === 0;
  beforeEach(async () => {
    // Root may write anywhere; another user has the same trouble as everybody.
    if (!isRoot) return;
    await chmod(dirname(bench.workRoot), 0o777);
    process.seteuid?.(65_534);
  });
  afterEach(() => {
    if (isRoot) process.seteuid?.(0);
  });

  it("is removed all the same", async () => {
    const { error } = await bench.execute(async ({ workDir }) => {
      await mkdir(join(workDir, "a/b"), { recursive: true });
      await writeFile(join(workDir, "a/b/c.txt"), "x");
      await chmod(join(workDir, "a/b"), 0o000);
      await chmod(join(workDir, "a"), 0o500);
      await expect(rm(join(workDir, "a"), { recursive: true })).rejects.toThrow("EACCES");
    });
    expect(error).toBeUndefined();
    expect(leftovers()).toEqual([]);
    expect(bench.errors).toEqual([]);
  });
});

describe("a handler that goes on after its attempt", () => {
  it("changes nothing any more", async () => {
    let kept: HandlerContext | undefined;
    const saveCheckpoint = vi.fn<() => Promise<void>>(() => Promise.resolve());
    const onHeartbeat = vi.fn<() => void>();
    await bench.execute(
      (context) => {
        kept = context;
      },
      { saveCheckpoint, onHeartbeat },
    );
    kept?.progress({ phase: "late", percent: 100 });
    kept?.log("late");
    kept?.heartbeat();
    kept?.report({ stdout: "late" });
    const over = { code: "STATE_CONFLICT" };
    await expect(kept?.artifact("late.txt", "late")).rejects.toMatchObject(over);
    await expect(kept?.saveCheckpoint(1)).rejects.toMatchObject(over);
    expect(() => kept?.workDir).toThrow(expect.objectContaining(over));
    expect(bench.events).toEqual([]);
    expect(saveCheckpoint).not.toHaveBeenCalled();
    expect(onHeartbeat).not.toHaveBeenCalled();
    expect(existsSync(bench.artifactsRoot)).toBe(false);
    expect(leftovers()).toEqual([]);
  });

  it("is cut off while it runs, when it was given up on", async () => {
    let isGivenUp = false;
    const { outcome, error } = await bench.execute(
      async (context) => {
        await context.artifact("early.txt", "early");
        isGivenUp = true;
        context.progress({ phase: "late" });
        await context.artifact("late.txt", "late");
      },
      { isGivenUp: () => isGivenUp },
    );
    expect(error).toMatchObject({ code: "STATE_CONFLICT" });
    expect(outcome.outputs?.artifacts).toHaveLength(1);
    expect(bench.events.map(({ kind }) => kind)).toEqual(["artifact"]);
  });

  it("does not put an artifact in place that it was streaming when it was given up on", async () => {
    let isGivenUp = false;
    async function* chunks() {
      yield "before";
      await Promise.resolve();
      isGivenUp = true;
    }
    const { error } = await bench.execute((context) => context.artifact("a.txt", chunks()), {
      isGivenUp: () => isGivenUp,
    });
    expect(error).toMatchObject({ code: "STATE_CONFLICT" });
    expect(existsSync(join(bench.artifactsRoot, "job-1", "a.txt"))).toBe(false);
    expect(readdirSync(join(bench.artifactsRoot, ".partial", "w1"))).toEqual([]);
  });

  it("loses the artifacts it did not wait for, and the attempt still ends", async () => {
    async function* endless() {
      yield "first";
      await new Promise<never>(() => {});
    }
    const { outcome, error } = await bench.execute((context) => {
      void context.artifact("a.txt", endless());
    });
    expect({ outcome, error }).toEqual({ outcome: {}, error: undefined });
    expect(existsSync(join(bench.artifactsRoot, "job-1"))).toBe(false);
    expect(readdirSync(join(bench.artifactsRoot, ".partial", "w1"))).toEqual([]);
  });
});

describe("context", () => {
  it("tells what the handler works on", async () => {
    const { outcome } = await bench.execute(
      ({ jobId, operation, attempt, maxAttempts, workerId, checkpoint, document }) => ({
        jobId,
        operation,
        attempt,
        maxAttempts,
        workerId,
        checkpoint,
        type: document.payload.type,
      }),
      { attempt: 2, checkpoint: { page: 4 } },
    );
    expect(outcome.data).toEqual({
      jobId: "job-1",
      operation: "test.run",
      attempt: 2,
      maxAttempts: 1,
      workerId: "w1",
      checkpoint: { page: 4 },
      type: "test.run.v1",
    });
  });

  it("has functions that work on their own", async () => {
    const { outcome, error } = await bench.execute(
      async ({ progress, log, heartbeat, report, artifact, saveCheckpoint }) => {
        progress({ phase: "a" });
        log("b");
        heartbeat();
        report({ exitCode: 0 });
        await saveCheckpoint({ page: 1 });
        await artifact("c.txt", "c");
      },
    );
    expect(error).toBeUndefined();
    expect(outcome).toMatchObject({ exitCode: 0, outputs: { artifacts: [{ path: "c.txt" }] } });
    expect(bench.events.map(({ kind }) => kind)).toEqual(["progress", "log", "artifact"]);
  });

  it("counts progress, log lines and heartbeats as signs of life", async () => {
    const onHeartbeat = vi.fn<() => void>();
    await bench.execute(
      (context) => {
        context.progress({ phase: "a" });
        context.log("b");
        context.heartbeat();
      },
      { onHeartbeat },
    );
    expect(onHeartbeat).toHaveBeenCalledTimes(3);
  });
});

describe("checkpoints", () => {
  it("are saved as they are at that moment", async () => {
    const saved: unknown[] = [];
    await bench.execute(
      async (context) => {
        const state = { page: 1 };
        await context.saveCheckpoint(state);
        state.page = 2;
      },
      { saveCheckpoint: async (value) => void saved.push(value) },
    );
    expect(saved).toEqual([{ page: 1 }]);
  });

  it.each([
    ["no JSON", 1n, "SERIALIZATION_ERROR"],
    ["nothing", undefined, "SERIALIZATION_ERROR"],
    ["too long", "x".repeat(100), "LIMIT_EXCEEDED"],
  ])("are refused when they are %s", async (_what, value, code) => {
    const { error } = await bench.execute((context) => context.saveCheckpoint(value), {
      limits: { maxResultBytes: 50 },
    });
    expect(error).toMatchObject({ code });
  });
});
