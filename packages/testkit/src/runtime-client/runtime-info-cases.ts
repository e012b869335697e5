import { expect } from "vitest";
import { method, needing, type CaseGroup } from "./case-group.ts";

export const runtimeInfoCases: CaseGroup = (check) => {
  check("says what it is, with no field empty", async ({ runtime }) => {
    const version = await runtime.version();
    expect(version).toMatchObject({ version: "0.1.0", runtimeApiVersion: "v1" });
    expect(version.runtimeName).not.toBe("");
    expect(version.runtimeVersion).toMatch(/^\d+\.\d+\.\d+/);
  });

  check("is ready, and so is its network", async ({ runtime }) => {
    const { conditions } = await runtime.status();
    for (const wanted of ["RuntimeReady", "NetworkReady"]) {
      expect(conditions.filter(({ type }) => type === wanted)).toMatchObject([{ status: true }]);
    }
  });

  check("names its default handler with the others", async ({ runtime }) => {
    const { runtimeHandlers } = await runtime.status();
    expect(runtimeHandlers.map(({ name }) => name)).toContain("");
  });

  check("adds details to its status only when asked, each a JSON text", async ({ runtime }) => {
    expect((await runtime.status()).info).toBeUndefined();
    const { info = {} } = await runtime.status({ verbose: true });
    for (const text of Object.values(info)) expect(() => JSON.parse(text)).not.toThrow();
  });

  check("rejects with the abort's reason when aborted before a call", async (tools) => {
    const { runtime } = tools;
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    const config = tools.podConfig();
    await expect(runtime.runPodSandbox({ config }, { signal })).rejects.toBe(reason);
    const labelSelector = tools.labels;
    expect(await runtime.listPodSandbox({ labelSelector })).toEqual([]);
  });

  const configured = needing(check, "runtime config");
  configured("names its cgroup driver", async ({ runtime }) => {
    const { linux } = await method(runtime.runtimeConfig, "runtimeConfig")();
    expect(["systemd", "cgroupfs"]).toContain(linux?.cgroupDriver);
  });

  configured("takes a pod CIDR and an empty one", async ({ runtime }) => {
    const update = method(runtime.updateRuntimeConfig, "updateRuntimeConfig");
    await update({ networkConfig: { podCidr: "" } });
    await update({ networkConfig: { podCidr: "10.255.0.0/24" } });
    expect((await runtime.status()).conditions).not.toEqual([]);
  });

  needing(check, "metrics")("gives only metrics that it describes", async (tools) => {
    const { runtime } = tools;
    const container = await tools.launch();
    const descriptors = await method(runtime.listMetricDescriptors, "listMetricDescriptors")();
    const known = new Map(descriptors.map((one) => [one.name, one.labelKeys.length]));
    for (const { help, labelKeys } of descriptors) {
      expect(help).not.toBe("");
      expect(labelKeys.length).toBeGreaterThan(0);
    }
    const pods = await method(runtime.listPodSandboxMetrics, "listPodSandboxMetrics")();
    const pod = pods.find(({ podSandboxId }) => podSandboxId === container.podSandboxId);
    const metrics = pod?.containerMetrics.flatMap((one) => one.metrics) ?? [];
    expect(metrics).not.toEqual([]);
    for (const { name, labelValues } of [...metrics, ...(pod?.metrics ?? [])]) {
      expect(known.get(name), name).toBe(labelValues.length);
    }
  });
};
