import type { PodSandboxFilter, RuntimeClient } from "@longshore/core";
import { expect } from "vitest";
import { needing, type CaseGroup } from "./case-group.ts";
import { sharedPrefix, uniquePrefix } from "./id-prefix.ts";

export const sandboxCases: CaseGroup = (check) => {
  check("runs a sandbox that is ready on return, with what it was given", async (tools) => {
    const beforeNs = BigInt(Date.now() - 5_000) * 1_000_000n;
    const { podSandboxId, sandboxConfig } = await tools.pod({
      labels: { app: "one" },
      annotations: { "example.com/note": "two\nlines" },
    });
    const { status } = await tools.runtime.podSandboxStatus({ podSandboxId });
    expect(status).toMatchObject({
      id: podSandboxId,
      state: "ready",
      metadata: sandboxConfig.metadata,
      labels: sandboxConfig.labels,
      annotations: sandboxConfig.annotations,
    });
    expect(status.createdAt).toBeGreaterThan(beforeNs);
    const listed = await tools.runtime.listPodSandbox({ id: podSandboxId });
    expect(listed).toMatchObject([{ id: podSandboxId, state: "ready", labels: { app: "one" } }]);
  });

  check("tells the namespaces that a sandbox was given", async (tools) => {
    const { podSandboxId } = await tools.pod();
    const { status } = await tools.runtime.podSandboxStatus({ podSandboxId });
    expect(status.linux?.namespaces).toMatchObject({ network: "none" });
  });

  check("refuses metadata that is in use, and lets it be used after the removal", async (tools) => {
    const { runtime } = tools;
    const { podSandboxId, sandboxConfig: config } = await tools.pod();
    await expect(runtime.runPodSandbox({ config })).rejects.toMatchObject({
      code: "STATE_CONFLICT",
    });
    await runtime.stopPodSandbox({ podSandboxId });
    await expect(runtime.runPodSandbox({ config })).rejects.toMatchObject({
      code: "STATE_CONFLICT",
    });
    await runtime.removePodSandbox({ podSandboxId });
    expect(await runtime.runPodSandbox({ config })).not.toBe(podSandboxId);
  });

  check("takes the same name again with another attempt", async (tools) => {
    const { sandboxConfig } = await tools.pod();
    const metadata = { ...sandboxConfig.metadata, attempt: 1 };
    await tools.pod({ metadata });
    const all = await tools.runtime.listPodSandbox({ labelSelector: tools.labels });
    expect(all.map((pod) => pod.metadata.attempt ?? 0).toSorted((a, b) => a - b)).toEqual([0, 1]);
  });

  check("gives the same metadata to one of several callers", async (tools) => {
    const { runtime } = tools;
    const config = tools.podConfig();
    const answers = await Promise.allSettled(
      Array.from({ length: 5 }, () => runtime.runPodSandbox({ config })),
    );
    expect(answers.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const answer of answers) {
      if (answer.status === "rejected") {
        expect(answer.reason).toMatchObject({ code: "STATE_CONFLICT" });
      }
    }
  });

  check("refuses an unknown handler, and leaves nothing of the sandbox", async (tools) => {
    const { runtime, labels } = tools;
    const config = tools.podConfig();
    await expect(
      runtime.runPodSandbox({ config, runtimeHandler: "no-such-handler" }),
    ).rejects.toMatchObject({ code: "RUNTIME_NOT_SUPPORTED" });
    expect(await runtime.listPodSandbox({ labelSelector: labels })).toEqual([]);
    await runtime.runPodSandbox({ config });
  });

  check("leaves nothing of a sandbox whose making is aborted", async (tools) => {
    const { runtime, labels } = tools;
    const config = tools.podConfig();
    const stop = new AbortController();
    const made = runtime.runPodSandbox({ config }, { signal: stop.signal });
    stop.abort(new Error("enough"));
    const id = await made.catch((error: unknown) => {
      expect(error).toBe(stop.signal.reason);
      return undefined;
    });
    // It may have been too late to abort; then it is there, as it says.
    if (id !== undefined) await runtime.removePodSandbox({ podSandboxId: id });
    expect(await runtime.listPodSandbox({ labelSelector: labels })).toEqual([]);
    await runtime.runPodSandbox({ config });
  });

  needing(check, "several containers")(
    "stops a sandbox with every process in it",
    async (tools) => {
      const { runtime } = tools;
      const first = await tools.launch();
      const second = await tools.launch({}, first);
      await runtime.stopPodSandbox(first);
      const { status } = await runtime.podSandboxStatus(first);
      expect(status.state).toBe("notready");
      for (const container of [first, second]) {
        expect([137, 143]).toContain((await tools.ended(container)).exitCode);
      }
    },
  );

  check("stops and removes a sandbox again and again, and one that is unknown", async (tools) => {
    const { runtime } = tools;
    const { podSandboxId } = await tools.pod();
    await Promise.all([1, 2, 3].map(() => runtime.stopPodSandbox({ podSandboxId })));
    await runtime.stopPodSandbox({ podSandboxId });
    await Promise.all([1, 2, 3].map(() => runtime.removePodSandbox({ podSandboxId })));
    await runtime.removePodSandbox({ podSandboxId });
    await runtime.stopPodSandbox({ podSandboxId });
    await runtime.stopPodSandbox({ podSandboxId: "no-such-sandbox" });
    await runtime.removePodSandbox({ podSandboxId: "no-such-sandbox" });
    expect(await runtime.listPodSandbox({ id: podSandboxId })).toEqual([]);
  });

  needing(check, "several containers")(
    "removes a sandbox that is ready, with its containers",
    async (tools) => {
      const { runtime } = tools;
      const container = await tools.launch();
      await tools.create(container);
      await runtime.removePodSandbox(container);
      expect(await runtime.listContainers({ podSandboxId: container.podSandboxId })).toEqual([]);
      await expect(runtime.podSandboxStatus(container)).rejects.toMatchObject({
        code: "SANDBOX_NOT_FOUND",
      });
      await expect(runtime.containerStatus(container)).rejects.toMatchObject({ code: "NOT_FOUND" });
    },
  );

  check("makes no container in a sandbox that has stopped", async (tools) => {
    const pod = await tools.pod();
    await tools.runtime.stopPodSandbox(pod);
    await expect(tools.create(pod)).rejects.toMatchObject({ code: "SANDBOX_INVALID_STATE" });
  });

  check("does not know a sandbox that never was", async (tools) => {
    const { runtime } = tools;
    const podSandboxId = "no-such-sandbox";
    await expect(runtime.podSandboxStatus({ podSandboxId })).rejects.toMatchObject({
      code: "SANDBOX_NOT_FOUND",
    });
    const pod = { podSandboxId, sandboxConfig: tools.podConfig() };
    await expect(tools.create(pod)).rejects.toMatchObject({ code: "SANDBOX_NOT_FOUND" });
    expect(await runtime.listPodSandbox({ id: podSandboxId })).toEqual([]);
  });

  check("refuses an empty sandbox id", async ({ runtime }) => {
    for (const call of sandboxCalls(runtime)) {
      await expect(call({ podSandboxId: "" })).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    }
  });

  check("filters sandboxes by every field that is set", async (tools) => {
    const { runtime, labels } = tools;
    const [one, two] = [
      await tools.pod({ labels: { tier: "a", app: "x" } }),
      await tools.pod({ labels: { tier: "b", app: "x" } }),
    ];
    await runtime.stopPodSandbox(two);
    const ids = async (filter: PodSandboxFilter): Promise<readonly string[]> =>
      (await runtime.listPodSandbox(filter)).map(({ id }) => id);
    const app = { ...labels, app: "x" };
    expect((await ids({ labelSelector: app })).toSorted()).toEqual(
      [one.podSandboxId, two.podSandboxId].toSorted(),
    );
    expect(await ids({ labelSelector: { ...app, tier: "b" } })).toEqual([two.podSandboxId]);
    expect(await ids({ labelSelector: app, state: "ready" })).toEqual([one.podSandboxId]);
    expect(await ids({ labelSelector: app, state: "notready" })).toEqual([two.podSandboxId]);
    expect(await ids({ id: one.podSandboxId, state: "notready" })).toEqual([]);
    expect(await ids({ labelSelector: { ...app, tier: "none" } })).toEqual([]);
    expect(await ids({ id: "" })).toEqual(await ids({}));
    expect(await ids({})).toEqual(expect.arrayContaining([one.podSandboxId, two.podSandboxId]));
  });

  const prefixed = needing(check, "id prefixes");
  prefixed("takes a sandbox's id by a prefix that fits only one", async (tools) => {
    const { runtime } = tools;
    const { podSandboxId } = await tools.pod();
    const all = await runtime.listPodSandbox();
    const prefix = uniquePrefix(
      podSandboxId,
      all.map(({ id }) => id),
    );
    const { status } = await runtime.podSandboxStatus({ podSandboxId: prefix });
    expect(status.id).toBe(podSandboxId);
    expect(await runtime.listPodSandbox({ id: prefix })).toMatchObject([{ id: podSandboxId }]);
    await runtime.stopPodSandbox({ podSandboxId: prefix });
    await runtime.removePodSandbox({ podSandboxId: prefix });
    expect(await runtime.listPodSandbox({ id: podSandboxId })).toEqual([]);
  });

  prefixed("refuses a prefix that fits more than one", async (tools) => {
    const { runtime } = tools;
    const pod = await tools.pod();
    const ids: string[] = [];
    let prefix: string | undefined;
    // Ids are hexadecimal as a rule: among 17 two begin alike.
    while (prefix === undefined && ids.length < 100) {
      ids.push((await tools.create(pod)).containerId);
      prefix = sharedPrefix(ids);
    }
    expect(prefix).toBeDefined();
    await expect(runtime.containerStatus({ containerId: prefix ?? "" })).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
    });
    await expect(runtime.removeContainer({ containerId: prefix ?? "" })).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
    });
    expect(await runtime.listContainers({ podSandboxId: pod.podSandboxId })).toHaveLength(
      ids.length,
    );
  });
};

type SandboxCall = (request: { readonly podSandboxId: string }) => Promise<unknown>;

function sandboxCalls(runtime: RuntimeClient): readonly SandboxCall[] {
  return [
    (request) => runtime.stopPodSandbox(request),
    (request) => runtime.removePodSandbox(request),
    (request) => runtime.podSandboxStatus(request),
  ];
}
