import { describe, expect, it } from "vitest";
import { admission } from "../src/admission/admission.ts";
import { demandOf } from "../src/admission/demand.ts";
import { containerConfig, enginePlace, podConfig, tempEngine } from "./fixtures/temp-engine.ts";

const mib = 1_048_576;
const need = (memoryBytes: number) => ({ cpuMillis: 0, memoryBytes, pids: 0 });
const memory = (bytes: number) => ({ linux: { resources: { memoryLimitInBytes: bytes } } });
const ask = (id: string, memoryBytes: number, subject?: string) => ({
  id,
  subject,
  demand: need(memoryBytes),
});

describe("demand", () => {
  it("comes from limits, in thousandths of a processor, bytes and processes", () => {
    expect(
      demandOf({ cpuQuota: 50_000, memoryLimitInBytes: mib, unified: { "pids.max": "64" } }),
    ).toEqual({ cpuMillis: 500, memoryBytes: mib, pids: 64 });
    expect(demandOf({ cpuQuota: -1, unified: { "pids.max": "max" } })).toEqual({
      cpuMillis: 0,
      memoryBytes: 0,
      pids: 0,
    });
  });
});

describe("admission", () => {
  it("refuses at once what can never fit, then what is over a quota", async () => {
    const room = admission({
      capacity: { memoryBytes: 100 },
      quota: (subject) => (subject === "local:ada" ? { memoryBytes: 60, sandboxes: 2 } : undefined),
    });
    await expect(room.admit(ask("a", 101, "local:ada"))).rejects.toMatchObject({
      code: "ADMISSION_INFEASIBLE",
      details: { dimension: "memoryBytes", wanted: 101, capacity: 100 },
    });
    await room.admit(ask("a", 40, "local:ada"));
    await expect(room.admit(ask("b", 21, "local:ada"))).rejects.toMatchObject({
      code: "ADMISSION_DENIED",
    });
    await room.admit(ask("b", 20, "local:ada"));
    await expect(room.admit(ask("c", 0, "local:ada"))).rejects.toMatchObject({
      code: "ADMISSION_DENIED",
      details: { dimension: "sandboxes", quota: 2 },
    });
    await expect(room.admit(ask("d", 0))).rejects.toMatchObject({ code: "ADMISSION_DENIED" });
    await room.admit(ask("e", 40, "local:bob"));
  });

  it("lets those who wait in by their order, and no small one past a large one", async () => {
    const room = admission({ capacity: { memoryBytes: 100 } });
    await room.admit(ask("a", 60));
    await room.admit(ask("b", 30));
    const order: string[] = [];
    const large = room.admit(ask("large", 80)).then(() => order.push("large"));
    const small = room.admit(ask("small", 10)).then(() => order.push("small"));
    expect(room.usage().waiting).toBe(2);
    room.release("b");
    expect(order).toEqual([]);
    room.release("a");
    await Promise.all([large, small]);
    expect(order).toEqual(["large", "small"]);
    expect(room.usage()).toMatchObject({ promised: { memoryBytes: 90 }, waiting: 0 });
  });

  it("ends a wait by abort, by time-out, and when too many wait", async () => {
    const room = admission({ capacity: { memoryBytes: 10 }, maxWaiting: 1, waitTimeoutMs: 30 });
    await room.admit(ask("a", 10));
    const stop = new AbortController();
    const waiting = room.admit(ask("b", 5), { signal: stop.signal });
    await expect(room.admit(ask("c", 5))).rejects.toMatchObject({ code: "POOL_EXHAUSTED" });
    stop.abort(new Error("enough"));
    await expect(waiting).rejects.toBe(stop.signal.reason);
    await expect(room.admit(ask("d", 5))).rejects.toMatchObject({
      code: "POOL_EXHAUSTED",
      retryable: true,
    });
    room.release("a");
    await room.admit(ask("e", 10));
  });

  it("is given back by release alone, and twice is once", async () => {
    const room = admission({ maxSandboxes: 1, maxWaiting: 0 });
    await room.admit(ask("a", 0));
    await expect(room.admit(ask("b", 0))).rejects.toMatchObject({ code: "POOL_EXHAUSTED" });
    room.release("a");
    room.release("a");
    await room.admit(ask("b", 0));
    await expect(room.admit(ask("c", 0))).rejects.toMatchObject({ code: "POOL_EXHAUSTED" });
  });
});

describe("an engine with admission control", () => {
  it("counts sandboxes and their containers until removal, also over a restart", async () => {
    await using place = await enginePlace();
    const options = {
      place,
      admission: { capacity: { memoryBytes: 100 * mib }, waitTimeoutMs: 50 },
    };
    const first = await tempEngine(options);
    const sandboxConfig = podConfig(memory(40 * mib));
    const podSandboxId = await first.runtime.runPodSandbox({ config: sandboxConfig });
    const create = (bytes: number) =>
      first.runtime.createContainer({
        podSandboxId,
        config: containerConfig(memory(bytes)),
        sandboxConfig,
      });
    await create(30 * mib);
    await create(40 * mib);
    await expect(create(31 * mib)).rejects.toMatchObject({ code: "ADMISSION_INFEASIBLE" });
    expect(await first.runtime.listContainers()).toHaveLength(2);
    await first[Symbol.asyncDispose]();

    await using second = await tempEngine(options);
    const { runtime } = second;
    await expect(
      runtime.runPodSandbox({ config: podConfig(memory(31 * mib)) }),
    ).rejects.toMatchObject({ code: "POOL_EXHAUSTED" });
    await runtime.stopPodSandbox({ podSandboxId });
    await expect(
      runtime.runPodSandbox({ config: podConfig(memory(31 * mib)) }),
    ).rejects.toMatchObject({ code: "POOL_EXHAUSTED" });
    await runtime.removePodSandbox({ podSandboxId });
    await runtime.runPodSandbox({ config: podConfig(memory(100 * mib)) });
  });
});
