import { expect, vi } from "vitest";
import { collect, gate, openBus, take, type CreateBus } from "./bus-fixture.ts";

type Declare = (name: string, run: () => Promise<void>) => void;

/** What happens to a subscriber that is slower than its publishers. */
export function overflowCases(test: Declare, create: CreateBus): void {
  test("drop_oldest is the default and keeps the newest", async () => {
    await using fixture = await openBus(create);
    await using stream = fixture.bus.subscribe("a.b.c", { queueCapacity: 3 });
    await using all = fixture.bus.subscribe("a.b.c");
    for (const number of [1, 2, 3, 4, 5]) await fixture.bus.publish("a.b.c", number);
    await take(all, 5);
    expect([stream.droppedCount, stream.queuedCount]).toEqual([2, 3]);
    expect(await take(stream, 3)).toEqual([3, 4, 5]);
    expect(stream.queuedCount).toBe(0);
  });

  test("drop_newest keeps the oldest", async () => {
    await using fixture = await openBus(create);
    await using stream = fixture.bus.subscribe("a.b.c", {
      queueCapacity: 3,
      overflow: "drop_newest",
    });
    await using all = fixture.bus.subscribe("a.b.c");
    for (const number of [1, 2, 3, 4, 5]) await fixture.bus.publish("a.b.c", number);
    await take(all, 5);
    expect([stream.droppedCount, stream.queuedCount]).toEqual([2, 3]);
    expect(await take(stream, 3)).toEqual([1, 2, 3]);
  });

  test("block makes the publisher wait for room and loses nothing", async () => {
    await using fixture = await openBus(create);
    await using stream = fixture.bus.subscribe("a.b.c", { queueCapacity: 2, overflow: "block" });
    await fixture.bus.publish("a.b.c", 1);
    let isThrough = false;
    const second = fixture.bus.publish("a.b.c", 2).then(() => {
      isThrough = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isThrough).toBe(false);
    expect(await take(stream, 1)).toEqual([1]);
    await second;
    expect(await take(stream, 1)).toEqual([2]);
    expect(stream.droppedCount).toBe(0);
  });

  test("a blocking listener holds the publisher until it has taken its event", async () => {
    await using fixture = await openBus(create);
    const door = gate();
    const taken: unknown[] = [];
    fixture.bus.on(
      "a.b.c",
      async ({ data }) => {
        taken.push(data);
        await door.opened;
      },
      { queueCapacity: 1, overflow: "block" },
    );
    await fixture.bus.publish("a.b.c", 1);
    let isThrough = false;
    const second = fixture.bus.publish("a.b.c", 2).then(() => {
      isThrough = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isThrough).toBe(false);
    door.open();
    await second;
    await vi.waitFor(() => expect(taken).toEqual([1, 2]), { timeout: 20_000 });
  });

  test("ending a blocking subscriber lets its publishers go on", async () => {
    await using fixture = await openBus(create);
    const stream = fixture.bus.subscribe("a.b.c", { queueCapacity: 1, overflow: "block" });
    const publishes = [fixture.bus.publish("a.b.c", 1), fixture.bus.publish("a.b.c", 2)];
    await stream[Symbol.asyncDispose]();
    await Promise.all(publishes);
    expect(await take(stream, 9)).toEqual([1, 2]);
  });

  test("a slow subscriber loses its own events and nobody else's", async () => {
    await using fixture = await openBus(create);
    const door = gate();
    const fast = collect();
    const slow = fixture.bus.on("a.b.c", () => door.opened, { queueCapacity: 2 });
    fixture.bus.on("a.b.c", fast.listener);
    for (let number = 0; number < 50; number += 1) await fixture.bus.publish("a.b.c", number);
    await vi.waitFor(() => expect(fast.data).toHaveLength(50), { timeout: 20_000 });
    expect(slow.droppedCount).toBeGreaterThan(40);
    expect(slow.queuedCount).toBeLessThanOrEqual(2);
    door.open();
  });

  for (const queueCapacity of [0, -1, 1.5, Number.NaN]) {
    test(`refuses a queue of ${queueCapacity} events`, async () => {
      await using fixture = await openBus(create);
      expect(() => fixture.bus.subscribe("a.b.c", { queueCapacity })).toThrow(RangeError);
    });
  }
}
