import { eventTopic } from "@longshore/core";
import { expect, vi } from "vitest";
import { collect, openBus, type CreateBus } from "./bus-fixture.ts";

type Declare = (name: string, run: () => Promise<void>) => void;

/** Which subscriber gets which event, and what is in it. */
export function topicCases(test: Declare, create: CreateBus): void {
  const matches: readonly (readonly [pattern: string, topic: string, isMatch: boolean])[] = [
    ["job.a1.running", "job.a1.running", true],
    ["job.a1.running", "job.a1.completed", false],
    ["job.a1.*", "job.a1.running", true],
    ["job.*.running", "job.a1.running", true],
    ["*.a1.running", "job.a1.running", true],
    ["*.*.*", "job.a1.running", true],
    ["job.**", "job.a1.running", true],
    ["job.a1.**", "job.a1.running", true],
    ["**", "job.a1.running", true],
    ["job.*", "job.a1.running", false],
    ["job.a1", "job.a1.running", false],
    ["*", "job.a1.running", false],
    ["job.a.*", "job.a1.running", false],
    ["jo.**", "job.a1.running", false],
  ];
  for (const [pattern, topic, isMatch] of matches) {
    test(`${pattern} ${isMatch ? "matches" : "does not match"} ${topic}`, async () => {
      await using fixture = await openBus(create);
      const { data, listener } = collect();
      const all = collect();
      fixture.bus.on(pattern, listener);
      fixture.bus.on(topic, all.listener);
      await fixture.bus.publish(topic, 1);
      await vi.waitFor(() => expect(all.data).toEqual([1]), { timeout: 20_000 });
      expect(data).toEqual(isMatch ? [1] : []);
    });
  }

  test("an id never matches a longer one that begins with it", async () => {
    await using fixture = await openBus(create);
    const short = collect();
    const long = collect();
    for (const pattern of ["worker.sb1.*", "worker.sb1.**", "worker.sb1.started"]) {
      fixture.bus.on(pattern, short.listener);
    }
    fixture.bus.on("worker.sb10.*", long.listener);
    await fixture.bus.publish("worker.sb10.started", "sb10");
    await vi.waitFor(() => expect(long.data).toEqual(["sb10"]), { timeout: 20_000 });
    expect(short.data).toEqual([]);
  });

  test("an id with dots and other characters is one part of a topic", async () => {
    await using fixture = await openBus(create);
    const id = "a.b%2E c/é*";
    const subjects: string[] = [];
    fixture.bus.on(eventTopic("job", id, "*"), ({ subject }) => {
      subjects.push(subject);
    });
    await fixture.bus.publish(eventTopic("job", id, "running"), {});
    await vi.waitFor(() => expect(subjects).toEqual([id]), { timeout: 20_000 });
  });

  for (const topic of [
    "",
    "job",
    "job.a1",
    "job.a1.b.c",
    "job..running",
    "job.*.running",
    "job.a b.x",
  ]) {
    test(`refuses to publish to "${topic}"`, async () => {
      await using fixture = await openBus(create);
      await expect(fixture.bus.publish(topic, {})).rejects.toMatchObject({
        code: "VALIDATION_ERROR",
      });
    });
  }

  for (const pattern of ["", "job..x", "job.**.x", "job.a*.x", "a.b.c.d", "a.b.c.d.**", "a b"]) {
    test(`refuses to subscribe to "${pattern}"`, async () => {
      await using fixture = await openBus(create);
      const isRefusal = expect.objectContaining({ code: "VALIDATION_ERROR" });
      expect(() => fixture.bus.on(pattern, () => {})).toThrow(isRefusal);
      expect(() => fixture.bus.subscribe(pattern)).toThrow(isRefusal);
    });
  }

  test("an envelope carries CloudEvents names, and survives JSON and copying", async () => {
    await using fixture = await openBus(create);
    const seen: unknown[] = [];
    fixture.bus.on("**", (event) => {
      seen.push(JSON.parse(JSON.stringify(event)), { ...event });
    });
    await fixture.bus.publish(
      eventTopic("job", "a.1", "running"),
      { percent: 5 },
      { correlationId: "c1", entityType: "job" },
    );
    await vi.waitFor(() => expect(seen).toHaveLength(2), { timeout: 20_000 });
    expect(seen[0]).toEqual({
      specversion: "1.0",
      id: expect.stringMatching(/^.{1,128}$/),
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      source: "job",
      topic: "job.a%2E1.running",
      type: "job.running",
      subject: "a.1",
      correlationId: "c1",
      entityType: "job",
      data: { percent: 5 },
    });
    expect(seen[1]).toEqual(seen[0]);
  });

  test("no two events have one id", async () => {
    await using fixture = await openBus(create);
    const ids: string[] = [];
    fixture.bus.on(
      "**",
      (event) => {
        ids.push(event.id);
      },
      { queueCapacity: 5_000 },
    );
    for (let number = 0; number < 5_000; number += 1) void fixture.bus.publish("a.b.c", number);
    await vi.waitFor(() => expect(ids).toHaveLength(5_000), { timeout: 20_000 });
    expect(new Set(ids).size).toBe(5_000);
  });
}
