import {
  allowAllPolicy,
  defineHandler,
  echoHandler,
  memoryJobStore,
  startWorker,
  type JobEventLog,
} from "@longshore/core";
import { describe, expect, it } from "vitest";
import type { EventView } from "../src/jobs/event-page.ts";
import { jobFeeds } from "../src/jobs/job-feed.ts";
import { jobStory } from "../src/jobs/job-story.ts";
import { wakeQueue } from "../src/jobs/wake-queue.ts";

const readerCount = 300;

/** Tells each time when it is asked to go on, and waits for that. */
function steppedHandler(steps: number) {
  const goOn = Array.from({ length: steps }, () => Promise.withResolvers<void>());
  const handler = defineHandler({
    name: "stepped",
    operations: ["test.stepped"],
    async execute(context) {
      for (const [step, { promise }] of goOn.entries()) {
        await promise;
        context.log(`step ${step}`);
      }
    },
  });
  return { handler, step: (index: number) => goOn[index]?.resolve() };
}

describe("many readers of one job", () => {
  it("cost one read of the log for each event, one of the record for each state, and share the bytes", async () => {
    const steps = 5;
    const { handler, step } = steppedHandler(steps);
    await using store = memoryJobStore({ keepEvents: true });
    if (store.events === undefined) throw new Error("the store keeps no events");
    const { events } = store;
    const counts = { log: 0, record: 0, encoded: 0 };
    const log: JobEventLog = {
      append: (event) => events.append(event),
      read(...args) {
        counts.log += 1;
        return events.read(...args);
      },
    };
    await using worker = await startWorker({
      policy: allowAllPolicy(),
      store,
      handlers: [handler],
    });
    const feeds = jobFeeds({
      store: {
        get(jobId) {
          counts.record += 1;
          return store.get(jobId);
        },
      },
      log,
      bus: worker.events,
      quietMs: 60_000,
    });
    const view: EventView = {
      name: "counted",
      message({ message }) {
        counts.encoded += 1;
        return message;
      },
    };
    const { jobId, result } = await worker.submit({ operation: "test.stepped", data: null });
    const { signal } = new AbortController();
    let told = 0;
    const all = Promise.withResolvers<void>();
    const readers = Array.from({ length: readerCount }, async () => {
      using feed = feeds.open(jobId);
      const options = { jobId, feed, view, afterSequence: -1, quietMs: 60_000, signal };
      const parts: (Uint8Array | string)[] = [];
      for await (const part of jobStory(options)) {
        parts.push(part);
        if (!Buffer.from(part).includes("step")) continue;
        told += 1;
        if (told === readerCount) all.resolve();
        // One after the other: each event is a page of its own.
        if (told % readerCount === 0) step(told / readerCount);
      }
      return parts;
    });
    step(0);
    await all.promise;
    await result();
    const stories = await Promise.all(readers);
    const [first = []] = stories;
    for (const story of stories) expect(story).toEqual(first);
    const text = Buffer.concat(first.map((part) => Buffer.from(part))).toString();
    const ids = [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
    expect(ids).toEqual(ids.map((_, index) => index));
    expect(text).toMatch(/event: done\ndata: .*"completed"/);
    // A page that all are sent is one object.
    const pageOf = (story: typeof first) => story.filter((part) => typeof part !== "string");
    const pages = new Set(stories.flatMap(pageOf));
    expect(pages.size).toBeLessThan(ids.length * 2);
    expect(counts.log).toBeLessThan(ids.length * 3);
    expect(counts.record).toBeLessThan(ids.length * 3);
    expect(counts.encoded).toBeLessThan(ids.length * 3);
  });

  it("are woken in turns, between which others have theirs", async () => {
    const queue = wakeQueue();
    const order: string[] = [];
    const done = Promise.withResolvers<void>();
    for (let reader = 0; reader < 100; reader += 1) {
      queue.add(() => {
        order.push(`reader ${reader}`);
        if (reader === 99) done.resolve();
      });
    }
    const others = setInterval(() => order.push("other"), 0);
    const turn = (): void => {
      order.push("turn");
      if (!order.includes("reader 99")) setImmediate(turn);
    };
    setImmediate(turn);
    await done.promise;
    clearInterval(others);
    expect(order.filter((name) => name.startsWith("reader"))).toEqual(
      Array.from({ length: 100 }, (_, reader) => `reader ${reader}`),
    );
    const longest = Math.max(
      ...order
        .join(",")
        .split(/,?(?:turn|other),?/)
        .map((run) => run.split(",").length),
    );
    expect(longest).toBeLessThanOrEqual(32);
  });

  it("read what they are behind in pages, and a large event is a page of its own", async () => {
    await using store = memoryJobStore({ keepEvents: true });
    const { events: log } = store;
    if (log === undefined) throw new Error("the store keeps no events");
    const policy = allowAllPolicy();
    await using worker = await startWorker({ policy, store, handlers: [echoHandler] });
    const notBefore = new Date(Date.now() + 86_400_000).toISOString();
    const execution = { notBefore };
    const { jobId } = await worker.submit({ operation: "system.echo", data: null, execution });
    const lastSequence = 600;
    for (let sequence = 1; sequence <= lastSequence; sequence += 1) {
      await log.append({
        jobId,
        kind: "log",
        timestamp: notBefore,
        sequence,
        attempt: 1,
        workerId: "w1",
        phase: "log",
        message: "x".repeat(sequence % 100 === 0 ? 200_000 : 1_000),
      });
    }
    const feeds = jobFeeds({ store, log, bus: worker.events, quietMs: 60_000 });
    using feed = feeds.open(jobId);
    const view: EventView = { name: "all", message: ({ message }) => message };
    const ids: number[] = [];
    for (let after = -1; after < lastSequence;) {
      const page = await feed.page(after, view);
      if (page === undefined) break;
      const text = Buffer.from(page.bytes).toString();
      const own = [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
      expect(own.at(-1)).toBe(page.lastSequence);
      expect(page.bytes.byteLength <= 65_536 || own.length === 1).toBe(true);
      // Who comes second is given the same.
      expect(await feed.page(after, view)).toBe(page);
      ids.push(...own);
      after = page.lastSequence;
    }
    expect(ids).toEqual(Array.from({ length: lastSequence + 1 }, (_, sequence) => sequence));
  });
});
