import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { jobEventEmitter, type JobEvent, type JobEventEmitterOptions } from "../../src/index.ts";

function recorder(options: Partial<JobEventEmitterOptions> = {}) {
  const events: JobEvent[] = [];
  const emitter = jobEventEmitter({
    jobId: "job-1",
    workerId: "w1",
    firstSequence: 0,
    attempt: 1,
    emit: (event) => events.push(event),
    ...options,
  });
  return { events, emitter, messages: () => events.map(({ message }) => message) };
}

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("numbers", () => {
  it("grow by one across kinds and attempts, from the first one on", () => {
    const { events, emitter } = recorder({ firstSequence: 7 });
    emitter.state("running", "runs");
    emitter.progress({ phase: "a", percent: 10 });
    emitter.log("line");
    emitter.artifact({ path: "a.txt", size: 1, sha256: "00" });
    emitter.startAttempt(2);
    emitter.state("running", "runs again");
    expect(events.map(({ sequence }) => sequence)).toEqual([7, 8, 9, 10, 11]);
    expect(events.map(({ attempt }) => attempt)).toEqual([1, 1, 1, 1, 2]);
    expect(emitter.nextSequence).toBe(12);
  });

  it("have no gap where reports were held back and lines left out", () => {
    const { events, emitter } = recorder({ maxPerSecond: 2 });
    for (let index = 0; index < 20; index += 1) {
      emitter.progress({ phase: "busy", percent: index });
      emitter.log(`line ${index}`);
    }
    emitter.state("completed", "done");
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => index));
  });

  it("are told before a state event as it will get them, with what is held back counted", () => {
    const { events, emitter } = recorder({ maxPerSecond: 1 });
    emitter.progress({ phase: "a" });
    emitter.progress({ phase: "b" });
    emitter.log("left out");
    const expected = emitter.nextSequence;
    emitter.state("completed", "done");
    expect(events.at(-1)).toMatchObject({ kind: "state", sequence: expected });
  });

  it("hold for any order of calls, and percents never go down within an attempt", () => {
    const call = fc.oneof(
      fc.record({ kind: fc.constant("progress" as const), percent: fc.double() }),
      fc.record({ kind: fc.constant("log" as const) }),
      fc.record({ kind: fc.constant("state" as const) }),
      fc.record({ kind: fc.constant("attempt" as const) }),
      fc.record({ kind: fc.constant("wait" as const), ms: fc.nat(3_000) }),
    );
    fc.assert(
      fc.property(
        fc.array(call, { maxLength: 80 }),
        fc.integer({ min: 1, max: 12 }),
        (calls, rate) => {
          const { events, emitter } = recorder({ maxPerSecond: rate });
          let attempt = 1;
          for (const step of calls) {
            if (step.kind === "progress") emitter.progress({ phase: "p", percent: step.percent });
            if (step.kind === "log") emitter.log("line");
            if (step.kind === "state") emitter.state("running", "runs");
            if (step.kind === "attempt") emitter.startAttempt((attempt += 1));
            if (step.kind === "wait") vi.advanceTimersByTime(step.ms);
          }
          emitter[Symbol.dispose]();
          expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => index));
          for (const [index, event] of events.entries()) {
            const before = events
              .slice(0, index)
              .findLast(
                (other) => other.attempt === event.attempt && other.progressPercent !== undefined,
              );
            const { progressPercent } = event;
            if (progressPercent === undefined) continue;
            expect(progressPercent).toBeGreaterThanOrEqual(before?.progressPercent ?? 0);
            expect(progressPercent).toBeLessThanOrEqual(100);
          }
        },
      ),
    );
  });
});

describe("percent", () => {
  it("is clamped, ignores what is no number, and never goes down", () => {
    const { events, emitter } = recorder();
    for (const percent of [-5, 30, Number.NaN, 10, Infinity]) {
      emitter.progress({ phase: "p", percent, message: String(percent) });
    }
    expect(events.map(({ message, progressPercent }) => [message, progressPercent])).toEqual([
      ["-5", 0],
      ["30", 30],
      ["NaN", 30],
      ["10", 30],
      ["Infinity", 100],
    ]);
  });

  it("starts over with an attempt", () => {
    const { events, emitter } = recorder();
    emitter.progress({ phase: "p", percent: 90 });
    emitter.startAttempt(2);
    emitter.progress({ phase: "p" });
    emitter.progress({ phase: "p", percent: 5 });
    expect(events.map(({ progressPercent }) => progressPercent)).toEqual([90, undefined, 5]);
  });
});

describe("rate", () => {
  it("lets ten events leave at once, then the last of the burst a second later", () => {
    const { events, emitter, messages } = recorder();
    for (let index = 0; index < 100; index += 1) {
      emitter.progress({ phase: "p", percent: index, message: `m${index}` });
    }
    expect(events).toHaveLength(10);
    vi.advanceTimersByTime(999);
    expect(events).toHaveLength(10);
    vi.advanceTimersByTime(1);
    expect(messages().slice(9)).toEqual(["m9", "m99"]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("is kept over any second, however the events fall into it", () => {
    const times: number[] = [];
    const { emitter } = recorder({ emit: () => times.push(Date.now()) });
    for (let index = 0; index < 400; index += 1) {
      emitter.progress({ phase: "p", message: String(index) });
      vi.advanceTimersByTime((index * 37) % 101);
    }
    expect(times.length).toBeGreaterThan(100);
    for (const [index, time] of times.entries()) {
      expect(time - (times[index - 10] ?? -Infinity)).toBeGreaterThanOrEqual(1_000);
    }
  });

  it("counts the log lines that it leaves out", () => {
    const { emitter, messages } = recorder({ maxPerSecond: 2 });
    for (let index = 0; index < 5; index += 1) emitter.log(`line ${index}`);
    vi.advanceTimersByTime(1_000);
    expect(messages()).toEqual([
      "line 0",
      "line 1",
      "3 log lines were left out: more than 2 a second",
    ]);
  });

  it("holds no state or artifact back, and lets the progress before it leave first", () => {
    const { emitter, messages } = recorder({ maxPerSecond: 1 });
    emitter.progress({ phase: "p", message: "first" });
    emitter.progress({ phase: "p", message: "overtaken" });
    emitter.progress({ phase: "p", message: "last" });
    emitter.artifact({ path: "a.txt", size: 1, sha256: "00" });
    for (let index = 0; index < 30; index += 1) emitter.state("running", `state ${index}`);
    expect(messages().slice(0, 4)).toEqual(["first", "last", "artifact a.txt", "state 0"]);
    expect(messages()).toHaveLength(33);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("does not silence a job whose clock was set back", () => {
    const { events, emitter } = recorder({ maxPerSecond: 1 });
    emitter.log("before");
    vi.setSystemTime(Date.now() - 3_600_000);
    emitter.log("after");
    expect(events).toHaveLength(2);
  });

  it("must allow one event a second at least", () => {
    expect(() => recorder({ maxPerSecond: 0 })).toThrow(RangeError);
    expect(() => recorder({ maxPerSecond: Number.NaN })).toThrow(RangeError);
  });

  it("starts no timer while nothing is held back", () => {
    const { emitter } = recorder();
    emitter.state("queued", "q");
    emitter.progress({ phase: "p", percent: 0 });
    emitter.log("line");
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("disposing", () => {
  it("sends what is held back and drops what comes later", () => {
    const { emitter, messages } = recorder({ maxPerSecond: 1 });
    emitter.progress({ phase: "p", message: "first" });
    emitter.progress({ phase: "p", message: "last" });
    emitter[Symbol.dispose]();
    emitter.progress({ phase: "p", message: "too late" });
    emitter.log("too late");
    emitter[Symbol.dispose]();
    vi.advanceTimersByTime(5_000);
    expect(messages()).toEqual(["first", "last"]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("bounds", () => {
  it("shortens phases and messages", () => {
    const { events, emitter } = recorder();
    emitter.progress({ phase: "p".repeat(1_000), message: "m".repeat(10_000) });
    expect(events[0]?.phase).toHaveLength(200);
    expect(events[0]?.message).toHaveLength(4_000);
  });

  it("replaces details that are too long or no JSON by a note", () => {
    const circle: Record<string, unknown> = {};
    circle["self"] = circle;
    const { events, emitter } = recorder();
    emitter.log("long", { text: "x".repeat(70_000) });
    emitter.log("circle", circle);
    emitter.progress({ phase: "bigint", details: { count: 1n } });
    expect(events.map(({ details }) => Object.keys(details ?? {}))).toEqual([
      ["omitted"],
      ["omitted"],
      ["omitted"],
    ]);
  });

  it("copies details, so that later changes do not show", () => {
    const details = { files: ["a"] };
    const { events, emitter } = recorder();
    emitter.log("found", details);
    details.files.push("b");
    expect(events[0]?.details).toEqual({ files: ["a"] });
  });

  it("tells a handler at once that a message is no text", () => {
    const { events, emitter } = recorder({ maxPerSecond: 1 });
    emitter.log("fills the rate");
    const wrong: unknown = { phase: 7, message: "m" };
    expect(() => emitter.progress(wrong as never)).toThrow("the phase of an event must be text");
    expect(() => emitter.log(new Error("no") as never)).toThrow(TypeError);
    expect(events).toHaveLength(1);
  });
});
