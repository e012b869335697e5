import { expect, vi } from "vitest";
import { collect, gate, openBus, take, type CreateBus } from "./bus-fixture.ts";

type Declare = (name: string, run: () => Promise<void>) => void;

/** How events reach subscribers, and how subscriptions end. */
export function deliveryCases(test: Declare, create: CreateBus): void {
  test("delivers in the order of publishing, to each subscriber once", async () => {
    await using fixture = await openBus(create);
    const first = collect();
    const second = collect();
    fixture.bus.on("job.**", first.listener);
    fixture.bus.on("*.*.*", second.listener);
    const numbers = Array.from({ length: 200 }, (_, number) => number);
    for (const number of numbers) await fixture.bus.publish(`job.j${number % 3}.x`, number);
    await vi.waitFor(() => expect([first.data, second.data]).toEqual([numbers, numbers]), {
      timeout: 20_000,
    });
  });

  test("calls no listener before publish has returned", async () => {
    await using fixture = await openBus(create);
    const { data, listener } = collect();
    fixture.bus.on("a.b.c", listener);
    void fixture.bus.publish("a.b.c", 1);
    expect(data).toEqual([]);
    await vi.waitFor(() => expect(data).toEqual([1]), { timeout: 20_000 });
  });

  test("waits for a listener's promise before it tells it more, and lets others go on", async () => {
    await using fixture = await openBus(create);
    const door = gate();
    const slow: unknown[] = [];
    const fast = collect();
    fixture.bus.on("a.b.c", async (event) => {
      slow.push(event.data);
      await door.opened;
    });
    fixture.bus.on("a.b.c", fast.listener);
    for (const number of [1, 2, 3]) await fixture.bus.publish("a.b.c", number);
    await vi.waitFor(() => expect(fast.data).toEqual([1, 2, 3]), { timeout: 20_000 });
    expect(slow).toEqual([1]);
    door.open();
    await vi.waitFor(() => expect(slow).toEqual([1, 2, 3]), { timeout: 20_000 });
  });

  test("a listener that throws or rejects harms neither publisher nor others", async () => {
    await using fixture = await openBus(create);
    const other = collect();
    fixture.bus.on("a.b.c", ({ data }) => {
      throw new Error(`thrown ${String(data)}`);
    });
    fixture.bus.on("a.b.c", async ({ data }) => {
      throw new Error(`rejected ${String(data)}`);
    });
    fixture.bus.on("a.b.c", other.listener);
    for (const number of [1, 2]) await fixture.bus.publish("a.b.c", number);
    await vi.waitFor(() => expect(fixture.errors).toHaveLength(4), { timeout: 20_000 });
    expect(other.data).toEqual([1, 2]);
    expect(fixture.errors.map(({ error }) => String(error)).toSorted()).toEqual([
      "Error: rejected 1",
      "Error: rejected 2",
      "Error: thrown 1",
      "Error: thrown 2",
    ]);
  });

  test("a publisher that does not wait causes no unhandled rejection", async () => {
    await using fixture = await openBus(create);
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", note);
    try {
      void fixture.bus.publish("not a topic", 1);
      await fixture.bus[Symbol.asyncDispose]();
      void fixture.bus.publish("a.b.c", 1);
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
    } finally {
      process.off("unhandledRejection", note);
    }
    expect(unhandled).toEqual([]);
  });

  test("a listener may publish and subscribe", async () => {
    await using fixture = await openBus(create);
    const { data, listener } = collect();
    fixture.bus.on("a.b.first", () => {
      fixture.bus.on("a.b.second", listener);
      void fixture.bus.publish("a.b.second", "from a listener");
    });
    await fixture.bus.publish("a.b.first", 1);
    await vi.waitFor(() => expect(data).toEqual(["from a listener"]), { timeout: 20_000 });
  });

  test("tells a subscriber nothing after it was disposed, twice without harm", async () => {
    await using fixture = await openBus(create);
    const ended = collect();
    const other = collect();
    const subscription = fixture.bus.on("a.b.c", ended.listener);
    fixture.bus.on("a.b.c", other.listener);
    void fixture.bus.publish("a.b.c", "queued, then dropped");
    await subscription[Symbol.asyncDispose]();
    await subscription[Symbol.asyncDispose]();
    await fixture.bus.publish("a.b.c", "late");
    await vi.waitFor(() => expect(other.data).toHaveLength(2), { timeout: 20_000 });
    expect(ended.data.filter((data) => data === "late")).toEqual([]);
  });

  test("iterates events that came before and while it was waited for", async () => {
    await using fixture = await openBus(create);
    await using stream = fixture.bus.subscribe("a.b.c");
    await fixture.bus.publish("a.b.c", 1);
    const taken = take(stream, 3);
    await fixture.bus.publish("a.b.c", 2);
    await fixture.bus.publish("a.b.c", 3);
    expect(await taken).toEqual([1, 2, 3]);
  });

  test("ends the subscription when the loop is left", async () => {
    await using fixture = await openBus(create);
    const stream = fixture.bus.subscribe("a.b.c", { queueCapacity: 1, overflow: "block" });
    await using other = fixture.bus.subscribe("a.b.c");
    void fixture.bus.publish("a.b.c", 1);
    for await (const event of stream) {
      expect(event.data).toBe(1);
      break;
    }
    // A subscriber that had stayed would block these.
    for (const number of [2, 3]) await fixture.bus.publish("a.b.c", number);
    expect(await take(other, 3)).toEqual([1, 2, 3]);
    expect(await take(stream, 1)).toEqual([]);
  });

  test("a disposed stream ends after what is queued", async () => {
    await using fixture = await openBus(create);
    const stream = fixture.bus.subscribe("a.b.c");
    await using other = fixture.bus.subscribe("a.b.c");
    await fixture.bus.publish("a.b.c", 1);
    await take(other, 1);
    await stream[Symbol.asyncDispose]();
    await fixture.bus.publish("a.b.c", 2);
    expect(await take(stream, 5)).toEqual([1]);
  });

  test("an abort ends an idle loop", async () => {
    await using fixture = await openBus(create);
    const controller = new AbortController();
    const taken = take(fixture.bus.subscribe("a.b.c", { signal: controller.signal }), 1);
    controller.abort();
    expect(await taken).toEqual([]);
  });

  test("an abort ends a listener", async () => {
    await using fixture = await openBus(create);
    const controller = new AbortController();
    const ended = collect();
    const other = collect();
    fixture.bus.on("a.b.c", ended.listener, { signal: controller.signal });
    fixture.bus.on("a.b.c", other.listener);
    controller.abort();
    await fixture.bus.publish("a.b.c", 1);
    await vi.waitFor(() => expect(other.data).toEqual([1]), { timeout: 20_000 });
    expect(ended.data).toEqual([]);
  });

  test("refuses a subscription whose signal is aborted, with its reason", async () => {
    await using fixture = await openBus(create);
    const reason = new Error("no more");
    const signal = AbortSignal.abort(reason);
    expect(() => fixture.bus.on("a.b.c", () => {}, { signal })).toThrow(reason);
    expect(() => fixture.bus.subscribe("a.b.c", { signal })).toThrow(reason);
  });

  test("every loop of a stream ends when the bus is disposed, twice without harm", async () => {
    await using fixture = await openBus(create);
    const stream = fixture.bus.subscribe("a.b.c");
    const loops = [take(stream, 1), take(stream, 1), take(fixture.bus.subscribe("**"), 1)];
    await fixture.bus[Symbol.asyncDispose]();
    await fixture.bus[Symbol.asyncDispose]();
    expect(await Promise.all(loops)).toEqual([[], [], []]);
  });

  test("begins with the last retained event of each topic, for those who ask", async () => {
    await using fixture = await openBus(create);
    await using witness = fixture.bus.subscribe("**");
    for (const [topic, data, retain] of [
      ["a.one.x", 1, true],
      ["a.one.x", 2, true],
      ["a.one.x", 3, false],
      ["a.two.x", 4, true],
      ["b.one.x", 5, true],
    ] as const) {
      await fixture.bus.publish(topic, data, { retain });
    }
    await take(witness, 5);
    const asks = collect();
    const asksNot = collect();
    fixture.bus.on("a.**", asks.listener, { retained: true });
    fixture.bus.on("a.**", asksNot.listener);
    await using stream = fixture.bus.subscribe("a.two.*", { retained: true });
    await fixture.bus.publish("a.two.x", 6);
    await vi.waitFor(() => expect(asks.data).toHaveLength(3), { timeout: 20_000 });
    // Topics come in any order; what is retained comes before what is new.
    expect(new Set(asks.data.slice(0, 2))).toEqual(new Set([2, 4]));
    expect(asks.data[2]).toBe(6);
    expect(asksNot.data).toEqual([6]);
    expect(await take(stream, 2)).toEqual([4, 6]);
  });
}
