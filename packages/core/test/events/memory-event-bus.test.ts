import fc from "fast-check";
import { expect, it, vi } from "vitest";
import { memoryEventBus, type EventBus, type EventEnvelope } from "../../src/index.ts";

async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

it("F29: a subscription to worker.sb1 gets nothing of worker.sb10", async () => {
  await using bus = memoryEventBus();
  const topics: string[] = [];
  bus.on("worker.sb1.**", ({ topic }) => {
    topics.push(topic);
  });
  await bus.publish("worker.sb10.started", {});
  await bus.publish("worker.sb1.started", {});
  await settle();
  expect(topics).toEqual(["worker.sb1.started"]);
});

it("keeps the last events of a bounded number of topics, the latest ones", async () => {
  await using bus = memoryEventBus({ maxRetainedTopics: 3 });
  for (const id of ["a", "b", "c", "a", "d"]) {
    await bus.publish(`job.${id}.x`, id, { retain: true });
  }
  const ids: unknown[] = [];
  bus.on("**", ({ data }) => void ids.push(data), { retained: true });
  await settle();
  expect(ids).toEqual(["c", "a", "d"]);
});

it("refuses to keep a number of topics that is not one", () => {
  expect(() => memoryEventBus({ maxRetainedTopics: -1 })).toThrow(RangeError);
});

it.each([
  [
    "throws",
    () => {
      throw new Error("the hook fails");
    },
  ],
  [
    "rejects",
    async () => {
      throw new Error("the hook fails");
    },
  ],
])("bears with an error hook that %s itself", async (_how, fail: () => void) => {
  const seen: unknown[] = [];
  await using bus = memoryEventBus({
    onListenerError(error) {
      seen.push(error);
      return fail();
    },
  });
  bus.on("a.b.c", ({ data }) => {
    throw new Error(String(data));
  });
  for (const number of [1, 2]) await bus.publish("a.b.c", number);
  await settle();
  expect(seen.map(String)).toEqual(["Error: 1", "Error: 2"]);
});

it("bears with a listener that returns what is not a promise", async () => {
  await using bus = memoryEventBus();
  const seen: unknown[] = [];
  bus.on("a.b.c", ({ data }) => seen.push(data) as unknown as void);
  for (const number of [1, 2]) await bus.publish("a.b.c", number);
  await settle();
  expect(seen).toEqual([1, 2]);
});

it("lets other subscribers have their turn while a listener feeds itself", async () => {
  await using bus = memoryEventBus();
  let turns = 0;
  const turnsBefore: number[] = [];
  bus.on("a.b.again", () => {
    turns += 1;
    if (turns < 1_000) void bus.publish("a.b.again", {});
  });
  bus.on("**", () => void turnsBefore.push(turns));
  await bus.publish("a.b.again", {});
  await vi.waitFor(() => expect(turnsBefore).toHaveLength(1_000), { timeout: 20_000 });
  expect(turnsBefore[0]).toBeLessThan(5);
});

it("bounds what publishers that do not wait put on a blocking subscriber", async () => {
  await using bus = memoryEventBus();
  const stream = bus.subscribe("a.b.c", { queueCapacity: 10, overflow: "block" });
  for (let number = 0; number < 12_000; number += 1) void bus.publish("a.b.c", number);
  expect(stream.queuedCount).toBe(10_010);
  expect(stream.droppedCount).toBe(1_990);
});

it("refuses subscribers and events once it is disposed", async () => {
  const bus = memoryEventBus();
  await bus[Symbol.asyncDispose]();
  await expect(bus.publish("a.b.c", 1)).rejects.toMatchObject({ code: "IO_ERROR" });
  expect(() => bus.on("a.b.c", () => {})).toThrow(expect.objectContaining({ code: "IO_ERROR" }));
});

it("carries the time of publishing, not of delivery", async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: 1_000 });
  try {
    await using bus = memoryEventBus();
    await using stream = bus.subscribe("**");
    await bus.publish("a.b.c", 1);
    vi.setSystemTime(61_000);
    await bus.publish("a.b.c", 2);
    vi.setSystemTime(99_000);
    const times: string[] = [];
    for await (const { time } of stream) {
      times.push(time);
      if (times.length === 2) break;
    }
    expect(times).toEqual(["1970-01-01T00:00:01.000Z", "1970-01-01T00:01:01.000Z"]);
  } finally {
    vi.useRealTimers();
  }
});

it("an iterator that waits can be told to return", async () => {
  await using bus = memoryEventBus();
  const iterator = bus.subscribe("a.b.c")[Symbol.asyncIterator]();
  const next = iterator.next();
  expect(await iterator.return?.()).toEqual({ done: true, value: undefined });
  expect(await next).toEqual({ done: true, value: undefined });
});

/** What a subscriber must have been told: events that match, between its start and its end. */
interface Subscriber {
  readonly pattern: string;
  readonly received: unknown[];
  readonly expected: unknown[];
  end(): Promise<void>;
}

function addSubscriber(bus: EventBus, pattern: string): Subscriber {
  const received: unknown[] = [];
  const subscription = bus.on(pattern, ({ data }: EventEnvelope) => void received.push(data));
  return {
    pattern,
    received,
    expected: [],
    end: async () => subscription[Symbol.asyncDispose](),
  };
}

it("delivers exactly what matches while subscribers come and go", async () => {
  const id = fc.constantFrom("a", "a1", "b");
  const step = fc.oneof(
    fc.record({
      kind: fc.constant("subscribe" as const),
      pattern: fc.oneof(
        id.map((name) => `job.${name}.*`),
        id.map((name) => `job.${name}.x`),
        fc.constantFrom("job.**", "*.a.*", "**"),
      ),
    }),
    fc.record({ kind: fc.constant("publish" as const), id }),
    fc.record({ kind: fc.constant("end" as const), which: fc.nat(20) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      await using bus = memoryEventBus();
      const active: Subscriber[] = [];
      const all: Subscriber[] = [];
      let published = 0;
      for (const action of steps) {
        if (action.kind === "subscribe") {
          const subscriber = addSubscriber(bus, action.pattern);
          active.push(subscriber);
          all.push(subscriber);
        } else if (action.kind === "publish") {
          published += 1;
          await bus.publish(`job.${action.id}.x`, published);
          await settle();
          for (const { pattern, expected } of active) {
            if (["job.**", "**", `job.${action.id}.*`, `job.${action.id}.x`].includes(pattern)) {
              expected.push(published);
            } else if (pattern === "*.a.*" && action.id === "a") expected.push(published);
          }
        } else {
          const [ended] = active.splice(action.which, 1);
          await ended?.end();
        }
      }
      for (const { received, expected } of all) expect(received).toEqual(expected);
    }),
    { numRuns: 60 },
  );
});
