import { describe, expect, it } from "vitest";
import type { DriverStep } from "./fixtures/process-driver.ts";
import {
  containerConfig,
  launch,
  podConfig,
  tempEngine,
  type TempEngine,
  type TempEngineOptions,
} from "./fixtures/temp-engine.ts";

/** Holds whoever comes until he is aborted, or let go. */
function gate() {
  const reached = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  let isArmed = false;
  return {
    reached: reached.promise,
    arm: () => void (isArmed = true),
    open: () => opened.resolve(),
    async hold(signal: AbortSignal | undefined): Promise<void> {
      if (!isArmed) return;
      isArmed = false;
      reached.resolve();
      const stop = Promise.withResolvers<never>();
      signal?.addEventListener("abort", () => stop.reject(signal.reason), { once: true });
      await Promise.race([opened.promise, stop.promise]);
    },
  };
}

type Gate = ReturnType<typeof gate>;

function heldAt(where: DriverStep | "network" | "rootfs", held: Gate): TempEngineOptions {
  if (where === "network") return { net: { onSetUp: (signal) => held.hold(signal) } };
  if (where === "rootfs") return { store: { onPrepare: (signal) => held.hold(signal) } };
  return {
    driver: { onStep: async (step, signal) => (step === where ? held.hold(signal) : undefined) },
  };
}

async function expectNothing(engine: TempEngine): Promise<void> {
  expect(await engine.runtime.listPodSandbox()).toEqual([]);
  expect(await engine.records()).toEqual([]);
  expect(await engine.network.left()).toEqual([]);
  expect(engine.processes()).toEqual([]);
}

describe("a sandbox that is half made", () => {
  it.each([
    ["network", "network"],
    ["prepare", "sandbox"],
    ["prepared", "sandbox"],
  ] as const)("leaves nothing when aborted at: %s", async (where, stage) => {
    const held = gate();
    held.arm();
    await using engine = await tempEngine(heldAt(where, held));
    const { runtime } = engine;
    const config = podConfig();
    const stop = new AbortController();
    const made = runtime.runPodSandbox({ config }, { signal: stop.signal });
    made.catch(() => undefined);
    await held.reached;
    await expect(runtime.runPodSandbox({ config })).rejects.toMatchObject({
      code: "STATE_CONFLICT",
      details: { stage },
    });
    expect(await runtime.listPodSandbox()).toEqual([]);
    stop.abort(new Error("enough"));
    await expect(made).rejects.toBe(stop.signal.reason);
    await expectNothing(engine);
    // The name is free at once.
    await runtime.removePodSandbox({ podSandboxId: await runtime.runPodSandbox({ config }) });
    await expectNothing(engine);
  });

  it("leaves nothing when the driver fails", async () => {
    let isBroken = true;
    await using engine = await tempEngine({
      driver: {
        async onStep(step) {
          if (isBroken && step === "prepared") throw new Error("no KVM");
        },
      },
    });
    const config = podConfig();
    await expect(engine.runtime.runPodSandbox({ config })).rejects.toMatchObject({
      code: "SANDBOX_CREATE_FAILED",
      message: "no KVM",
    });
    await expectNothing(engine);
    isBroken = false;
    await engine.runtime.runPodSandbox({ config });
  });
});

describe("a container that is half made", () => {
  it.each([
    ["rootfs", "root filesystem"],
    ["check", "check"],
  ] as const)("leaves nothing when aborted at: %s", async (where, stage) => {
    const held = gate();
    await using engine = await tempEngine(heldAt(where, held));
    const { runtime } = engine;
    const sandboxConfig = podConfig();
    const podSandboxId = await runtime.runPodSandbox({ config: sandboxConfig });
    const request = { podSandboxId, config: containerConfig(), sandboxConfig };
    held.arm();
    const stop = new AbortController();
    const made = runtime.createContainer(request, { signal: stop.signal });
    made.catch(() => undefined);
    await held.reached;
    await expect(runtime.createContainer(request)).rejects.toMatchObject({
      code: "STATE_CONFLICT",
      details: { stage },
    });
    stop.abort(new Error("enough"));
    await expect(made).rejects.toBe(stop.signal.reason);
    expect(await runtime.listContainers()).toEqual([]);
    expect(await engine.images.listOwners()).toEqual([]);
    await runtime.createContainer(request);
  });

  it("ends with its sandbox", async () => {
    const held = gate();
    await using engine = await tempEngine(heldAt("check", held));
    const { runtime } = engine;
    const sandboxConfig = podConfig();
    const podSandboxId = await runtime.runPodSandbox({ config: sandboxConfig });
    held.arm();
    const made = runtime.createContainer({
      podSandboxId,
      config: containerConfig(),
      sandboxConfig,
    });
    made.catch(() => undefined);
    await held.reached;
    await runtime.removePodSandbox({ podSandboxId });
    await expect(made).rejects.toMatchObject({ code: "SANDBOX_INVALID_STATE" });
    await expectNothing(engine);
    expect(await engine.images.listOwners()).toEqual([]);
  });
});

describe("a container that is being started", () => {
  it.each(["start", "started"] as const)(
    "is created again after an abort at: %s",
    async (where) => {
      const held = gate();
      await using engine = await tempEngine(heldAt(where, held));
      const { runtime } = engine;
      const { podSandboxId } = await launch(runtime);
      const containerId = await runtime.createContainer({
        podSandboxId,
        config: containerConfig(),
        sandboxConfig: podConfig(),
      });
      await using session = await runtime.attach({ containerId });
      held.arm();
      const stop = new AbortController();
      const started = runtime.startContainer({ containerId }, { signal: stop.signal });
      started.catch(() => undefined);
      await held.reached;
      stop.abort(new Error("enough"));
      await expect(started).rejects.toBe(stop.signal.reason);
      expect((await runtime.containerStatus({ containerId })).status.state).toBe("created");
      await runtime.startContainer({ containerId });
      expect((await runtime.containerStatus({ containerId })).status.state).toBe("running");
      await session[Symbol.asyncDispose]();
    },
  );

  it("gives way to its removal, though the driver hangs", async () => {
    const held = gate();
    await using engine = await tempEngine(heldAt("start", held));
    const { runtime } = engine;
    const { podSandboxId } = await launch(runtime);
    const containerId = await runtime.createContainer({
      podSandboxId,
      config: containerConfig(),
      sandboxConfig: podConfig(),
    });
    held.arm();
    const started = runtime.startContainer({ containerId });
    started.catch(() => undefined);
    await held.reached;
    // Lists and states answer meanwhile.
    expect((await runtime.containerStatus({ containerId })).status.state).toBe("created");
    await runtime.removeContainer({ containerId });
    await expect(started).rejects.toMatchObject({ code: "SANDBOX_INVALID_STATE" });
    await expect(runtime.containerStatus({ containerId })).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
  });
});
