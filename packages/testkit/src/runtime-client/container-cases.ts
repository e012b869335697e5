import { expect } from "vitest";
import { needing, type CaseGroup } from "./case-group.ts";
import { countSleeps, randomSeconds } from "./marked-sleep.ts";
import type { CaseContainer, RuntimeCase } from "./runtime-case.ts";

/** Runs a script as a container's first process, to its end. */
async function runScript(
  tools: RuntimeCase,
  script: string,
): Promise<Awaited<ReturnType<RuntimeCase["ended"]>>> {
  return tools.ended(await tools.launch({ command: ["sh", "-c", script] }));
}

/** A container whose first process tells, by a file, that it handles signals by now. */
async function launchReady(
  tools: RuntimeCase,
  traps: string,
  rest: Parameters<RuntimeCase["launch"]>[0] = {},
): Promise<CaseContainer> {
  const script = `${traps}; : > ready; while :; do sleep 0.05; done`;
  const container = await tools.launch({ ...rest, command: ["sh", "-c", script] });
  await tools.sh(container, "until [ -e ready ]; do sleep 0.02; done");
  return container;
}

/** Life of a container. */
export const containerCases: CaseGroup = (check) => {
  check("makes a container that has not started", async (tools) => {
    const container = await tools.create(await tools.pod(), {
      labels: { app: "one" },
      annotations: { "example.com/note": "kept" },
    });
    const status = await tools.status(container);
    expect(status).toMatchObject({
      id: container.containerId,
      state: "created",
      startedAt: 0n,
      finishedAt: 0n,
      labels: { ...tools.labels, app: "one" },
      annotations: { "example.com/note": "kept" },
      image: { image: tools.harness.images.base },
    });
    expect(status.createdAt).toBeGreaterThan(0n);
    expect(status.imageRef).not.toBe("");
    expect(status.imageId).not.toBe("");
  });

  check("starts a container that runs on return", async (tools) => {
    const container = await tools.launch();
    const status = await tools.status(container);
    expect(status).toMatchObject({ state: "running", finishedAt: 0n });
    expect(status.startedAt).toBeGreaterThanOrEqual(status.createdAt);
  });

  check("tells that a container completed", async (tools) => {
    const status = await runScript(tools, "exit 0");
    expect(status).toMatchObject({ exitCode: 0, reason: "Completed" });
    expect(status.finishedAt).toBeGreaterThanOrEqual(status.startedAt);
    expect(status.finishedAt).toBeGreaterThan(0n);
  });

  check("tells the exit code of a container that failed", async (tools) => {
    expect(await runScript(tools, "exit 7")).toMatchObject({ exitCode: 7, reason: "Error" });
    expect(await runScript(tools, "exit 255")).toMatchObject({ exitCode: 255, reason: "Error" });
  });

  check("tells the signal that ended a container as 128 and its number", async (tools) => {
    expect(await runScript(tools, "kill -TERM $$; sleep 5")).toMatchObject({ exitCode: 143 });
    expect(await runScript(tools, "kill -KILL $$; sleep 5")).toMatchObject({
      exitCode: 137,
      reason: "Error",
    });
  });

  check("lets a container end by itself when it is told to stop", async (tools) => {
    const container = await launchReady(tools, "trap 'exit 3' TERM");
    const startedMs = Date.now();
    await tools.runtime.stopContainer({ ...container, timeout: 30 });
    expect(Date.now() - startedMs).toBeLessThan(15_000);
    expect(await tools.status(container)).toMatchObject({ state: "exited", exitCode: 3 });
  });

  check("kills a container that ignores SIGTERM after the time-out", async (tools) => {
    const container = await launchReady(tools, "trap '' TERM");
    const startedMs = Date.now();
    await tools.runtime.stopContainer({ ...container, timeout: 3 });
    expect(Date.now() - startedMs).toBeGreaterThanOrEqual(2_950);
    expect(await tools.status(container)).toMatchObject({ state: "exited", exitCode: 137 });
  });

  check("kills a container at once when the time-out is 0", async (tools) => {
    const container = await launchReady(tools, "trap '' TERM");
    const startedMs = Date.now();
    await tools.runtime.stopContainer({ ...container, timeout: 0 });
    expect(Date.now() - startedMs).toBeLessThan(10_000);
    expect(await tools.status(container)).toMatchObject({ state: "exited", exitCode: 137 });
  });

  check("stops a container with the signal of its configuration", async (tools) => {
    const container = await launchReady(tools, "trap 'exit 9' USR1; trap '' TERM", {
      stopSignal: "SIGUSR1",
    });
    await tools.runtime.stopContainer({ ...container, timeout: 30 });
    expect(await tools.status(container)).toMatchObject({ exitCode: 9 });
  });

  check("leaves a container that has not started as it is when told to stop", async (tools) => {
    const container = await tools.create(await tools.pod());
    await tools.runtime.stopContainer(container);
    expect(await tools.status(container)).toMatchObject({ state: "created" });
    await tools.runtime.startContainer(container);
    expect(await tools.status(container)).toMatchObject({ state: "running" });
  });

  check("keeps how a container ended when it is stopped afterwards", async (tools) => {
    const container = await tools.launch({ command: ["sh", "-c", "exit 5"] });
    const before = await tools.ended(container);
    await tools.runtime.stopContainer({ ...container, timeout: 5 });
    expect(await tools.status(container)).toEqual(before);
  });

  check("starts a container once", async (tools) => {
    const { runtime } = tools;
    const running = await tools.launch();
    const exited = await tools.launch({ command: ["true"] });
    await tools.ended(exited);
    for (const container of [running, exited]) {
      await expect(runtime.startContainer(container)).rejects.toMatchObject({
        code: "SANDBOX_INVALID_STATE",
      });
    }
    expect(await tools.status(running)).toMatchObject({ state: "running" });
  });

  check("starts no container of a sandbox that has stopped", async (tools) => {
    const container = await tools.create(await tools.pod());
    await tools.runtime.stopPodSandbox(container);
    await expect(tools.runtime.startContainer(container)).rejects.toMatchObject({
      code: "SANDBOX_INVALID_STATE",
    });
  });

  check("ends a container whose program is not there with StartError", async (tools) => {
    const container = await tools.create(await tools.pod(), { command: ["/no/such/program"] });
    await expect(tools.runtime.startContainer(container)).rejects.toMatchObject({
      code: "EXECUTION_ERROR",
    });
    expect(await tools.status(container)).toMatchObject({
      state: "exited",
      exitCode: 128,
      reason: "StartError",
    });
  });

  check("ends a container whose program cannot be run with StartError", async (tools) => {
    const container = await tools.create(await tools.pod(), { command: ["/etc"] });
    await expect(tools.runtime.startContainer(container)).rejects.toMatchObject({
      code: "EXECUTION_ERROR",
    });
    expect(await tools.status(container)).toMatchObject({ state: "exited", reason: "StartError" });
  });

  needing(check, "several containers")(
    "removes a container that runs, and one that does not, again and again",
    async (tools) => {
      const { runtime } = tools;
      const running = await tools.launch();
      const created = await tools.create(running);
      const exited = await tools.launch({ command: ["true"] }, running);
      await tools.ended(exited);
      for (const container of [running, created, exited]) {
        await Promise.all([runtime.removeContainer(container), runtime.removeContainer(container)]);
        await runtime.removeContainer(container);
        await runtime.stopContainer(container);
        await expect(runtime.containerStatus(container)).rejects.toMatchObject({
          code: "NOT_FOUND",
        });
      }
      expect(await runtime.listContainers({ podSandboxId: running.podSandboxId })).toEqual([]);
      expect((await runtime.podSandboxStatus(running)).status.state).toBe("ready");
    },
  );

  check("stops and removes a container that never was", async ({ runtime }) => {
    const containerId = "no-such-container";
    await runtime.stopContainer({ containerId, timeout: 1 });
    await runtime.removeContainer({ containerId });
    expect(await runtime.listContainers({ id: containerId })).toEqual([]);
  });

  needing(check, "several containers")(
    "leaves no process of a container that is removed",
    async (tools) => {
      const mark = randomSeconds();
      const watcher = await tools.launch();
      const script = `sleep ${mark} & (sleep ${mark} &) ; : > ready; wait`;
      const container = await tools.launch({ command: ["sh", "-c", script] }, watcher);
      await tools.sh(container, "until [ -e ready ]; do sleep 0.02; done");
      // Every process of the pod is in view from its other container.
      expect(Number(await tools.sh(watcher, countSleeps(mark)))).toBeGreaterThanOrEqual(2);
      await tools.runtime.removeContainer(container);
      expect(await tools.sh(watcher, countSleeps(mark))).toBe("0");
    },
  );

  needing(check, "several containers")(
    "runs several containers in one sandbox, each with its own end",
    async (tools) => {
      const pod = await tools.pod();
      const containers = await Promise.all(
        [0, 1, 2, 3, 4].map((code) => tools.launch({ command: ["sh", "-c", `exit ${code}`] }, pod)),
      );
      const ends = await Promise.all(containers.map((container) => tools.ended(container)));
      expect(ends.map(({ exitCode }) => exitCode)).toEqual([0, 1, 2, 3, 4]);
    },
  );
};
