import type { ContainerFilter } from "@longshore/core";
import { expect } from "vitest";
import { needing, type CaseGroup } from "./case-group.ts";
import { uniquePrefix } from "./id-prefix.ts";

/** Names, ids and filters of containers, and how their first process is told what to do. */
export const containerIdentityCases: CaseGroup = (check) => {
  check("refuses a container's name that is in use in the sandbox", async (tools) => {
    const { runtime } = tools;
    const pod = await tools.pod();
    const metadata = { name: "main", attempt: 0 };
    const first = await tools.create(pod, { metadata });
    await expect(tools.create(pod, { metadata })).rejects.toMatchObject({ code: "STATE_CONFLICT" });
    await tools.create(pod, { metadata: { name: "main", attempt: 1 } });
    await tools.create(await tools.pod(), { metadata });
    await runtime.removeContainer(first);
    await tools.create(pod, { metadata });
  });

  check("gives a container's name to one of several callers", async (tools) => {
    const pod = await tools.pod();
    const metadata = { name: "main", attempt: 0 };
    const answers = await Promise.allSettled(
      Array.from({ length: 5 }, () => tools.create(pod, { metadata })),
    );
    expect(answers.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await tools.runtime.listContainers({ podSandboxId: pod.podSandboxId })).toHaveLength(1);
  });

  check("does not make a container of an image that is not there", async (tools) => {
    const pod = await tools.pod();
    const metadata = { name: "main", attempt: 0 };
    const image = { image: "registry.invalid/no/such:image" };
    await expect(tools.create(pod, { metadata, image })).rejects.toMatchObject({
      code: "IMAGE_NOT_FOUND",
    });
    await tools.create(pod, { metadata });
  });

  check("leaves nothing of a container whose making is aborted", async (tools) => {
    const { runtime } = tools;
    const pod = await tools.pod();
    const config = tools.containerConfig({}, pod);
    const reason = new Error("enough");
    await expect(
      runtime.createContainer({ ...pod, config }, { signal: AbortSignal.abort(reason) }),
    ).rejects.toBe(reason);
    const stop = new AbortController();
    const made = runtime.createContainer({ ...pod, config }, { signal: stop.signal });
    stop.abort(reason);
    const id = await made.catch((error: unknown) => {
      expect(error).toBe(reason);
      return undefined;
    });
    if (id !== undefined) await runtime.removeContainer({ containerId: id });
    expect(await runtime.listContainers({ podSandboxId: pod.podSandboxId })).toEqual([]);
    await runtime.createContainer({ ...pod, config });
  });

  check("does not know a container that never was", async ({ runtime }) => {
    const containerId = "no-such-container";
    for (const call of [
      () => runtime.containerStatus({ containerId }),
      () => runtime.startContainer({ containerId }),
      () => runtime.execSync({ containerId, cmd: ["true"] }),
      () => runtime.exec({ containerId, cmd: ["true"] }),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: "NOT_FOUND" });
    }
  });

  check("refuses an empty container id", async ({ runtime }) => {
    const containerId = "";
    for (const call of [
      () => runtime.containerStatus({ containerId }),
      () => runtime.startContainer({ containerId }),
      () => runtime.stopContainer({ containerId }),
      () => runtime.removeContainer({ containerId }),
      () => runtime.execSync({ containerId, cmd: ["true"] }),
      () => runtime.exec({ containerId, cmd: ["true"] }),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    }
  });

  needing(check, "several containers")(
    "filters containers by every field that is set",
    async (tools) => {
      const { runtime, labels } = tools;
      const one = await tools.launch({ labels: { tier: "a" } });
      const two = await tools.create(one, { labels: { tier: "b" } });
      const other = await tools.create(await tools.pod(), { labels: { tier: "a" } });
      const ids = async (filter: ContainerFilter): Promise<readonly string[]> =>
        (await runtime.listContainers(filter)).map(({ id }) => id).toSorted();
      const all = [one, two, other].map(({ containerId }) => containerId).toSorted();
      expect(await ids({ labelSelector: labels })).toEqual(all);
      expect(await ids({ podSandboxId: one.podSandboxId })).toEqual(
        [one.containerId, two.containerId].toSorted(),
      );
      expect(await ids({ podSandboxId: one.podSandboxId, state: "running" })).toEqual([
        one.containerId,
      ]);
      expect(
        await ids({ labelSelector: { ...labels, tier: "a" }, podSandboxId: other.podSandboxId }),
      ).toEqual([other.containerId]);
      expect(await ids({ id: one.containerId, state: "created" })).toEqual([]);
      expect(await ids({ id: "", podSandboxId: "", labelSelector: labels })).toEqual(all);
      expect(await ids({ podSandboxId: "no-such-sandbox" })).toEqual([]);
      const [listed] = await runtime.listContainers({ id: two.containerId });
      expect(listed).toMatchObject({ podSandboxId: one.podSandboxId, state: "created" });
    },
  );

  needing(check, "id prefixes")("takes a container's id by a prefix", async (tools) => {
    const { runtime } = tools;
    const container = await tools.launch();
    const all = await runtime.listContainers();
    const containerId = uniquePrefix(
      container.containerId,
      all.map(({ id }) => id),
    );
    const { status } = await runtime.containerStatus({ containerId });
    expect(status.id).toBe(container.containerId);
    const { exitCode } = await runtime.execSync({ containerId, cmd: ["true"] });
    expect(exitCode).toBe(0);
    expect(await runtime.listContainers({ id: containerId })).toHaveLength(1);
    await runtime.stopContainer({ containerId });
    expect(await tools.status(container)).toMatchObject({ state: "exited" });
    await runtime.removeContainer({ containerId });
    expect(await runtime.listContainers({ id: container.containerId })).toEqual([]);
  });

  check("passes arguments on as they are", async (tools) => {
    const words = ["-n", "--", "", "a b", "$(id)", "new\nline", "'\"", "ünï", "*"];
    const container = await tools.launch({
      command: ["sh", "-c", 'printf "%s|" "$@" > words; sleep 1000', "sh"],
      args: words,
    });
    const written = "until [ -s words ]; do sleep 0.02; done; cat words";
    expect(await tools.sh(container, written)).toBe(`${words.join("|")}|`);
  });

  check("passes environment variables on as they are", async (tools) => {
    const container = await tools.launch({
      envs: [
        { key: "LINES", value: "one\ntwo\nEVIL=1" },
        { key: "EQUALS", value: "a=b=c" },
        { key: "EMPTY", value: "" },
        { key: "BYTES", value: new Uint8Array([0xc3, 0xbc]) },
        { key: "TWICE", value: "first" },
        { key: "TWICE", value: "second" },
      ],
    });
    expect(await tools.sh(container, 'printf "%s" "$LINES"')).toBe("one\ntwo\nEVIL=1");
    const script = 'printf "%s|" "$EQUALS" "${EMPTY-unset}" "$BYTES" "${EVIL-unset}" "$TWICE"';
    expect(await tools.sh(container, script)).toBe("a=b=c||ü|unset|second|");
  });
};
