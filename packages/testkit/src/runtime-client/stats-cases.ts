import { expect, vi } from "vitest";
import { method, needing, type CaseGroup } from "./case-group.ts";
import type { RuntimeCase } from "./runtime-case.ts";

const mib = 1_048_576;

function statsOf({ runtime }: RuntimeCase): NonNullable<typeof runtime.containerStats> {
  return method(runtime.containerStats, "containerStats").bind(runtime);
}

export const statsCases: CaseGroup = (check) => {
  const measured = needing(check, "stats");

  measured("tells what a container uses", async (tools) => {
    const beforeNs = BigInt(Date.now() - 5_000) * 1_000_000n;
    const container = await tools.launch({ annotations: { "example.com/a": "b" } });
    const stats = await statsOf(tools)(container);
    expect(stats.attributes).toMatchObject({
      id: container.containerId,
      labels: tools.labels,
      annotations: { "example.com/a": "b" },
    });
    for (const reading of [stats.cpu, stats.memory]) {
      expect(reading?.timestamp).toBeGreaterThan(beforeNs);
    }
    expect(stats.cpu?.usageCoreNanoSeconds).toBeGreaterThan(0n);
    const { usageBytes = 0, workingSetBytes = 0 } = stats.memory ?? {};
    expect(usageBytes).toBeGreaterThan(0);
    expect(workingSetBytes).toBeGreaterThan(0);
    expect(workingSetBytes).toBeLessThanOrEqual(usageBytes);
  });

  measured("counts more processor time for a container that works", async (tools) => {
    const container = await tools.launch();
    const stats = statsOf(tools);
    const before = await stats(container);
    await tools.sh(container, "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done");
    const after = await stats(container);
    const used = (after.cpu?.usageCoreNanoSeconds ?? 0n) - (before.cpu?.usageCoreNanoSeconds ?? 0n);
    expect(used).toBeGreaterThan(20_000_000n);
    expect(after.cpu?.timestamp).toBeGreaterThan(before.cpu?.timestamp ?? 0n);
  });

  measured("counts the memory that a container holds", async (tools) => {
    const container = await tools.launch();
    const stats = statsOf(tools);
    const before = (await stats(container)).memory?.usageBytes ?? 0;
    await tools.sh(container, `head -c ${32 * mib} /dev/zero > /dev/shm/held`);
    const after = (await stats(container)).memory?.usageBytes ?? 0;
    expect(after - before).toBeGreaterThan(24 * mib);
    await tools.sh(container, "rm /dev/shm/held");
  });

  needing(
    check,
    "stats",
    "memory limit",
  )("tells how much memory is left below the limit", async (tools) => {
    const limit = 256 * mib;
    const limited = await tools.launch({ resources: { memoryLimitInBytes: limit } });
    const { availableBytes = -1, workingSetBytes = 0 } =
      (await statsOf(tools)(limited)).memory ?? {};
    expect(Math.abs(availableBytes + workingSetBytes - limit)).toBeLessThan(mib);
    const free = await tools.launch();
    expect((await statsOf(tools)(free)).memory?.availableBytes).toBeUndefined();
  });

  measured("tells zeros of a container that has not started", async (tools) => {
    const stats = await statsOf(tools)(await tools.create(await tools.pod()));
    expect(stats.cpu?.usageCoreNanoSeconds ?? 0n).toBe(0n);
    expect(stats.memory?.usageBytes ?? 0).toBe(0);
  });

  measured("does not measure a container or pod that never was", async (tools) => {
    const { runtime } = tools;
    await expect(statsOf(tools)({ containerId: "no-such-container" })).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
    const ofPod = method(runtime.podSandboxStats, "podSandboxStats").bind(runtime);
    await expect(ofPod({ podSandboxId: "no-such-sandbox" })).rejects.toMatchObject({
      code: "SANDBOX_NOT_FOUND",
    });
  });

  needing(measured, "several containers")(
    "lists running containers only, filtered",
    async (tools) => {
      const { runtime, labels } = tools;
      const one = await tools.launch({ labels: { tier: "a" } });
      const two = await tools.launch({ labels: { tier: "b" } }, one);
      await tools.create(one);
      const list = method(runtime.listContainerStats, "listContainerStats").bind(runtime);
      const ids = async (filter: Parameters<typeof list>[0]): Promise<readonly string[]> =>
        (await list(filter)).map(({ attributes }) => attributes.id).toSorted();
      const both = [one.containerId, two.containerId].toSorted();
      expect(await ids({ labelSelector: labels })).toEqual(both);
      expect(await ids({ podSandboxId: one.podSandboxId })).toEqual(both);
      expect(await ids({ labelSelector: { ...labels, tier: "b" } })).toEqual([two.containerId]);
      expect(await ids({ id: one.containerId })).toEqual([one.containerId]);
    },
  );

  needing(measured, "several containers")(
    "tells what a pod uses, and each of its containers",
    async (tools) => {
      const { runtime, labels } = tools;
      const one = await tools.launch();
      const two = await tools.launch({}, one);
      const stats = await method(runtime.podSandboxStats, "podSandboxStats").call(runtime, one);
      expect(stats.attributes).toMatchObject({
        id: one.podSandboxId,
        metadata: one.sandboxConfig.metadata,
      });
      expect(stats.linux?.containers.map(({ attributes }) => attributes.id).toSorted()).toEqual(
        [one.containerId, two.containerId].toSorted(),
      );
      expect(stats.linux?.memory?.usageBytes).toBeGreaterThan(0);
      expect(stats.linux?.process?.processCount).toBeGreaterThanOrEqual(2);
      const list = method(runtime.listPodSandboxStats, "listPodSandboxStats").bind(runtime);
      const listed = await list({ labelSelector: labels });
      expect(listed.map(({ attributes }) => attributes.id)).toEqual([one.podSandboxId]);
    },
  );

  needing(check, "writable layer stats")(
    "counts what a container wrote over its image",
    async (tools) => {
      const container = await tools.launch();
      await tools.sh(container, `head -c ${8 * mib} /dev/zero > /written; sync /written || sync`);
      // It may be counted now and then only.
      await vi.waitFor(
        async () => {
          const { writableLayer } = await statsOf(tools)(container);
          expect(writableLayer?.usedBytes).toBeGreaterThanOrEqual(8 * mib);
          expect(writableLayer?.inodesUsed).toBeGreaterThan(0);
          expect(writableLayer?.fsId.mountpoint).toMatch(/^\//);
        },
        { timeout: 30_000, interval: 500 },
      );
    },
  );
};
