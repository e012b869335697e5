import type { Policy, PolicyRequest } from "@longshore/core";
import { describe, expect, it } from "vitest";
import { policedRuntime, type Runtime } from "../src/index.ts";
import { containerConfig, launch, podConfig, tempEngine } from "./fixtures/temp-engine.ts";

/** Allows what a list says, and writes down what was asked. */
function listPolicy(allowed: readonly string[]): Policy & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    name: "list",
    asked,
    async check({ subject, object, action }: PolicyRequest) {
      const text = `${subject} ${action} ${object}`;
      asked.push(text);
      const rule = allowed.find((one) =>
        one.endsWith("*") ? text.startsWith(one.slice(0, -1)) : text === one,
      );
      return rule === undefined ? { allowed: false } : { allowed: true, matchedRule: rule };
    },
  };
}

const subject = "local:ada";

describe("a policed runtime", () => {
  it("refuses every call that no rule allows", async () => {
    await using engine = await tempEngine();
    const ids = await launch(engine.runtime);
    const runtime = policedRuntime(engine.runtime, listPolicy([]), { subject });
    const config = podConfig();
    const create = { ...ids, config: containerConfig(), sandboxConfig: config };
    const calls: readonly [keyof Runtime, () => Promise<unknown>][] = [
      ["version", () => runtime.version()],
      ["status", () => runtime.status()],
      ["runtimeConfig", () => runtime.runtimeConfig()],
      ["updateRuntimeConfig", () => runtime.updateRuntimeConfig({})],
      ["runPodSandbox", () => runtime.runPodSandbox({ config })],
      ["stopPodSandbox", () => runtime.stopPodSandbox(ids)],
      ["removePodSandbox", () => runtime.removePodSandbox(ids)],
      ["podSandboxStatus", () => runtime.podSandboxStatus(ids)],
      ["listPodSandbox", () => runtime.listPodSandbox()],
      ["updatePodSandboxResources", () => runtime.updatePodSandboxResources(ids)],
      ["createContainer", () => runtime.createContainer(create)],
      ["startContainer", () => runtime.startContainer(ids)],
      ["stopContainer", () => runtime.stopContainer(ids)],
      ["signalContainer", () => runtime.signalContainer({ ...ids, signal: "SIGHUP" })],
      ["waitContainer", () => runtime.waitContainer(ids)],
      ["removeContainer", () => runtime.removeContainer(ids)],
      ["containerStatus", () => runtime.containerStatus(ids)],
      ["listContainers", () => runtime.listContainers()],
      ["updateContainerResources", () => runtime.updateContainerResources(ids)],
      ["reopenContainerLog", () => runtime.reopenContainerLog(ids)],
      ["checkpointContainer", () => runtime.checkpointContainer({ ...ids, location: "/x" })],
      ["pauseContainer", () => runtime.pauseContainer(ids)],
      ["resumeContainer", () => runtime.resumeContainer(ids)],
      ["commitContainer", () => runtime.commitContainer({ ...ids, reference: "localhost/a:b" })],
      ["execSync", () => runtime.execSync({ ...ids, cmd: ["true"] })],
      ["exec", () => runtime.exec({ ...ids, cmd: ["true"] })],
      ["attach", () => runtime.attach(ids)],
      ["portForward", () => runtime.portForward({ ...ids, port: 80 })],
      ["containerStats", () => runtime.containerStats(ids)],
      ["listContainerStats", () => runtime.listContainerStats()],
      ["podSandboxStats", () => runtime.podSandboxStats(ids)],
      ["listPodSandboxStats", () => runtime.listPodSandboxStats()],
      ["listMetricDescriptors", () => runtime.listMetricDescriptors()],
      ["listPodSandboxMetrics", () => runtime.listPodSandboxMetrics()],
      [
        "getContainerEvents",
        async () => runtime.getContainerEvents()[Symbol.asyncIterator]().next(),
      ],
    ];
    for (const [name, call] of calls) {
      await expect(call(), String(name)).rejects.toMatchObject({
        code: "POLICY_DENIED",
        details: { subject },
      });
    }
    const covered = new Set(calls.map(([name]) => name));
    const missing = Object.keys(engine.runtime).filter(
      (name) => !covered.has(name as keyof Runtime),
    );
    expect(missing).toEqual(["files"]);
    expect((await engine.runtime.containerStatus(ids)).status.state).toBe("running");
    await runtime[Symbol.asyncDispose]();
    expect(await engine.runtime.listContainers()).toHaveLength(1);
  });

  it("asks about the full id, and acts on that one", async () => {
    await using engine = await tempEngine();
    const ids = await launch(engine.runtime);
    const policy = listPolicy([`${subject} query container:${ids.containerId}`]);
    const runtime = policedRuntime(engine.runtime, policy, { subject });
    const { status } = await runtime.containerStatus({ containerId: ids.containerId.slice(0, 12) });
    expect(status.id).toBe(ids.containerId);
    expect(policy.asked).toEqual([`${subject} query container:${ids.containerId}`]);
    await expect(runtime.containerStatus({ containerId: "" })).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
    });
  });

  it("lets the owner of a sandbox put it away, and nobody who claims to be", async () => {
    await using engine = await tempEngine();
    const rules = [`${subject} execute *`, "local:bob execute *"];
    const ada = policedRuntime(engine.runtime, listPolicy(rules), { subject });
    const bob = policedRuntime(engine.runtime, listPolicy(rules), { subject: "local:bob" });
    const config = podConfig({ annotations: { "worker.dev/subject": "local:bob" } });
    const podSandboxId = await ada.runPodSandbox({ config });
    const { status } = await engine.runtime.podSandboxStatus({ podSandboxId });
    expect(status.annotations).toEqual({ "worker.dev/subject": subject });
    const containerId = await ada.createContainer({
      podSandboxId,
      config: containerConfig(),
      sandboxConfig: config,
    });
    await expect(bob.removeContainer({ containerId })).rejects.toMatchObject({
      code: "POLICY_DENIED",
    });
    await expect(bob.stopPodSandbox({ podSandboxId })).rejects.toMatchObject({
      code: "POLICY_DENIED",
    });
    await ada.removeContainer({ containerId });
    await ada.removePodSandbox({ podSandboxId });
    expect(await engine.runtime.listPodSandbox()).toEqual([]);
  });
});
