import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createScheduler, type QueueEntry } from "../../src/executor/scheduler.ts";

const entry = (jobId: string, rest: Partial<QueueEntry> = {}): QueueEntry => ({
  jobId,
  priority: 5,
  acceptedAtMs: Date.now(),
  expiresAtMs: Date.now() + 1_000_000,
  ...rest,
});

/** A scheduler whose jobs run until they are told to end. */
function setUp(maxConcurrentJobs: number) {
  const started: string[] = [];
  const expired: string[] = [];
  const ends = new Map<string, (again?: QueueEntry) => void>();
  const slots = new Map<string, () => void>();
  const scheduler = createScheduler({
    maxConcurrentJobs,
    run: (jobId, freeSlot) => {
      started.push(jobId);
      slots.set(jobId, freeSlot);
      return new Promise<QueueEntry | undefined>((resolve) => ends.set(jobId, resolve));
    },
    expire: (jobId) => expired.push(jobId),
  });
  const end = async (jobId: string): Promise<void> => {
    ends.get(jobId)?.();
    await vi.waitFor(() => expect(ends.get(jobId)).toBeDefined(), { timeout: 20_000 });
    await Promise.resolve();
    await Promise.resolve();
  };
  return { scheduler, started, expired, end, slots };
}

describe("scheduler", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("runs as many jobs at a time as it may, and no more (F1)", async () => {
    const { scheduler, started, end } = setUp(3);
    for (const id of ["a", "b", "c", "d", "e"]) scheduler.enqueue(entry(id));
    expect(started).toEqual(["a", "b", "c"]);
    expect([scheduler.runningCount, scheduler.waitingCount]).toEqual([3, 2]);
    await end("b");
    expect(started).toEqual(["a", "b", "c", "d"]);
  });

  it("starts the next job when a slot is free, though the one before has not ended", async () => {
    const { scheduler, started, end, slots } = setUp(1);
    for (const id of ["a", "b", "c"]) scheduler.enqueue(entry(id));
    slots.get("a")?.();
    slots.get("a")?.();
    expect(started).toEqual(["a", "b"]);
    expect(scheduler.runningCount).toBe(1);
    expect(() => {
      scheduler.enqueue(entry("a"));
    }).toThrow(RangeError);
    await end("a");
    expect(started).toEqual(["a", "b"]);
    let isIdle = false;
    const idle = scheduler.idle().then(() => (isIdle = true));
    slots.get("b")?.();
    slots.get("c")?.();
    await end("b");
    expect([scheduler.runningCount, isIdle]).toEqual([0, false]);
    await end("c");
    await idle;
  });

  it("takes higher priorities first, and the older job inside one priority", async () => {
    const { scheduler, started, end } = setUp(1);
    scheduler.enqueue(entry("first"));
    scheduler.enqueue(entry("low", { priority: 1 }));
    scheduler.enqueue(entry("high-1", { priority: 9 }));
    scheduler.enqueue(entry("high-2", { priority: 9 }));
    for (const id of ["first", "high-1", "high-2", "low"]) await end(id);
    expect(started).toEqual(["first", "high-1", "high-2", "low"]);
  });

  it("lets a job that waited long enough overtake a higher priority", async () => {
    const { scheduler, started, end } = setUp(1);
    scheduler.enqueue(entry("first"));
    scheduler.enqueue(entry("patient", { priority: 1 }));
    vi.advanceTimersByTime(9 * 60_000 + 1);
    scheduler.enqueue(entry("urgent", { priority: 10 }));
    await end("first");
    expect(started).toEqual(["first", "patient"]);
  });

  it("never starts one id twice", () => {
    const { scheduler } = setUp(1);
    scheduler.enqueue(entry("a"));
    scheduler.enqueue(entry("b"));
    expect(() => scheduler.enqueue(entry("a"))).toThrow(RangeError);
    expect(() => scheduler.enqueue(entry("b"))).toThrow(RangeError);
  });

  it("starts a delayed job when its time has come", async () => {
    const { scheduler, started } = setUp(2);
    scheduler.enqueue(entry("later", { notBeforeMs: Date.now() + 5_000 }));
    expect(started).toEqual([]);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(started).toEqual(["later"]);
  });

  it("waits for times further away than one timer can reach", async () => {
    const { scheduler, started } = setUp(1);
    const notBeforeMs = Date.now() + 60 * 86_400_000;
    scheduler.enqueue(entry("far", { notBeforeMs, expiresAtMs: notBeforeMs + 1_000 }));
    await vi.advanceTimersByTimeAsync(59 * 86_400_000);
    expect(started).toEqual([]);
    await vi.advanceTimersByTimeAsync(86_400_000);
    expect(started).toEqual(["far"]);
  });

  it("gives up jobs that waited too long, and only those", async () => {
    const { scheduler, started, expired, end } = setUp(1);
    scheduler.enqueue(entry("first"));
    scheduler.enqueue(entry("short", { expiresAtMs: Date.now() + 1_000 }));
    scheduler.enqueue(entry("long"));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(expired).toEqual(["short"]);
    await end("first");
    expect(started).toEqual(["first", "long"]);
  });

  it("forgets a job that was removed", async () => {
    const { scheduler, started, end } = setUp(1);
    scheduler.enqueue(entry("first"));
    scheduler.enqueue(entry("gone"));
    expect(scheduler.remove("gone")).toBe(true);
    expect(scheduler.remove("gone")).toBe(false);
    expect(scheduler.remove("first")).toBe(false);
    await end("first");
    expect(started).toEqual(["first"]);
  });

  it("starts nothing while it is paused, and hands out what waited when it is cleared", async () => {
    const { scheduler, started, end } = setUp(1);
    scheduler.enqueue(entry("first"));
    scheduler.enqueue(entry("second"));
    scheduler.pause();
    await end("first");
    await scheduler.idle();
    expect(started).toEqual(["first"]);
    expect(scheduler.clear()).toEqual(["second"]);
    expect(scheduler.waitingCount).toBe(0);
  });

  it("refuses a limit that makes no sense", () => {
    expect(() => setUp(0)).toThrow("maxConcurrentJobs must be 1 or more, got 0");
  });

  it("starts every job once, in order of rank, whatever is enqueued and removed", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ priority: fc.integer({ min: 1, max: 10 }), isRemoved: fc.boolean() }),
          {
            maxLength: 60,
          },
        ),
        (jobs) => {
          const { scheduler, started } = setUp(1);
          scheduler.enqueue(entry("blocker"));
          jobs.forEach(({ priority }, index) => scheduler.enqueue(entry(`${index}`, { priority })));
          jobs.forEach(({ isRemoved }, index) => {
            if (isRemoved) scheduler.remove(`${index}`);
          });
          expect(started).toEqual(["blocker"]);
          const kept = jobs
            .map(({ priority, isRemoved }, index) => ({ id: `${index}`, priority, isRemoved }))
            .filter(({ isRemoved }) => !isRemoved);
          expect(new Set(scheduler.clear())).toEqual(new Set(kept.map(({ id }) => id)));
        },
      ),
    );
  });
});
