import { expect } from "vitest";
import { needing, type CaseGroup } from "./case-group.ts";
import { hostSleeps, randomSeconds } from "./marked-sleep.ts";
import type { CaseContainer, RuntimeCase } from "./runtime-case.ts";

/** Longest a list may take while something else is stuck. It comes from memory. */
const listMs = 1_000;

async function launchStubborn(tools: RuntimeCase): Promise<CaseContainer> {
  const container = await tools.launch({
    command: ["sh", "-c", "trap '' TERM; : > ready; while :; do sleep 0.05; done"],
  });
  await tools.sh(container, "until [ -e ready ]; do sleep 0.02; done");
  return container;
}

async function timed(call: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await call();
  return performance.now() - startedMs;
}

/** Calls that overlap. */
export const overlapCases: CaseGroup = (check) => {
  check("lists and tells states at once while a container is being stopped", async (tools) => {
    const { runtime, labels, patience } = tools;
    const container = await launchStubborn(tools);
    let isStopped = false;
    const stopping = runtime.stopContainer({ ...container, timeout: 3 * patience }).then(() => {
      isStopped = true;
    });
    for (const call of [
      () => runtime.listContainers({ labelSelector: labels }),
      () => runtime.listPodSandbox({ labelSelector: labels }),
      () => tools.status(container),
      () => runtime.podSandboxStatus(container),
      () => runtime.status(),
    ]) {
      expect(await timed(call)).toBeLessThan(listMs * patience);
      expect(isStopped).toBe(false);
    }
    await stopping;
    expect(await tools.status(container)).toMatchObject({ exitCode: 137 });
  });

  needing(check, "several containers")(
    "works on other containers while one is being stopped",
    async (tools) => {
      const { runtime, patience } = tools;
      const container = await launchStubborn(tools);
      let isStopped = false;
      const stopping = runtime.stopContainer({ ...container, timeout: 6 * patience }).then(() => {
        isStopped = true;
      });
      const other = await tools.launch({}, container);
      await tools.sh(other, "true");
      await runtime.removeContainer(other);
      expect(isStopped).toBe(false);
      await stopping;
    },
  );

  check("stops, kills and removes one container from several sides", async (tools) => {
    const { runtime } = tools;
    const container = await launchStubborn(tools);
    await Promise.all([
      runtime.stopContainer({ ...container, timeout: 1 }),
      runtime.stopContainer({ ...container, timeout: 0 }),
      runtime.stopPodSandbox(container),
      runtime.removeContainer(container),
      runtime.removePodSandbox(container),
    ]);
    expect(await runtime.listContainers({ labelSelector: tools.labels })).toEqual([]);
    expect(await runtime.listPodSandbox({ labelSelector: tools.labels })).toEqual([]);
  });

  check("starts a container for one of several callers", async (tools) => {
    const container = await tools.create(await tools.pod());
    const answers = await Promise.allSettled(
      Array.from({ length: 4 }, () => tools.runtime.startContainer(container)),
    );
    expect(answers.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await tools.status(container)).toMatchObject({ state: "running" });
  });

  check("leaves nothing when a container is removed while it starts", async (tools) => {
    const { runtime } = tools;
    const pod = await tools.pod();
    const seconds = randomSeconds();
    for (let round = 0; round < 5; round += 1) {
      const container = await tools.create(pod, { command: ["sleep", seconds] });
      const [, removed] = await Promise.allSettled([
        runtime.startContainer(container),
        runtime.removeContainer(container),
      ]);
      expect(removed).toMatchObject({ status: "fulfilled" });
      await expect(runtime.containerStatus(container)).rejects.toMatchObject({ code: "NOT_FOUND" });
    }
    await expect.poll(() => hostSleeps(seconds), { timeout: 20_000 }).toBe(0);
  });

  check(
    "runs 20 sandboxes at the same time, each with its own answer",
    async (tools) => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          const container = await tools.launch({
            command: ["sh", "-c", `exit ${index}`],
          });
          return (await tools.ended(container)).exitCode;
        }),
      );
      expect(answers).toEqual(Array.from({ length: 20 }, (_, index) => index));
      const listed = await tools.runtime.listPodSandbox({ labelSelector: tools.labels });
      expect(listed).toHaveLength(20);
    },
    { timeoutMs: 120_000 },
  );
};
