import { expect, vi } from "vitest";
import { method, needing, type CaseGroup } from "./case-group.ts";

const mib = 1_048_576;
/** A shell's variable that doubles until there is no memory for it. */
const hog = "x=0123456789abcdef; while :; do x=$x$x; done";

export const limitCases: CaseGroup = (check) => {
  const memory = needing(check, "memory limit");
  const tight = { memoryLimitInBytes: 32 * mib, memorySwapLimitInBytes: 32 * mib };

  memory("kills a container that uses too much memory, and says so", async (tools) => {
    const container = await tools.launch({ command: ["sh", "-c", hog], resources: tight });
    expect(await tools.ended(container)).toMatchObject({ exitCode: 137, reason: "OOMKilled" });
  });

  memory("does not call a killed container out of memory", async (tools) => {
    const container = await tools.launch({ resources: tight });
    await tools.runtime.stopContainer({ ...container, timeout: 0 });
    expect(await tools.status(container)).toMatchObject({ exitCode: 137, reason: "Error" });
  });

  memory("counts the memory of commands run in a container", async (tools) => {
    const container = await tools.launch({ resources: tight });
    expect((await tools.trySh(container, hog)).exitCode).toBe(137);
  });

  memory("lets a container have the memory that it may", async (tools) => {
    const resources = { memoryLimitInBytes: 128 * mib, memorySwapLimitInBytes: 128 * mib };
    const container = await tools.launch({ resources });
    await tools.sh(container, "head -c 33554432 /dev/zero | tail -c 33554432 | wc -c");
    expect(await tools.status(container)).toMatchObject({ state: "running" });
  });

  needing(check, "pids limit")(
    "lets a container have no more processes than it may",
    async (tools) => {
      const container = await tools.launch({ resources: { unified: { "pids.max": "16" } } });
      const script = `i=0; while [ $i -lt 40 ]; do sleep 100 & i=$((i+1)); done 2> /dev/null
      n=0; for p in $(jobs -p); do [ -d /proc/$p ] && n=$((n+1)); done; echo $n`;
      const { stdout } = await tools.trySh(container, script);
      expect(Number(stdout.trim().split("\n").at(-1) ?? 0)).toBeLessThan(16);
    },
  );

  needing(
    check,
    "cpu limit",
    "stats",
    "several containers",
  )("gives a container no more processor time than it may have", async (tools) => {
    const container = await tools.launch({
      command: ["sh", "-c", "while :; do :; done"],
      resources: { cpuPeriod: 100_000, cpuQuota: 10_000 },
    });
    const idle = await tools.launch({}, container);
    const stats = method(tools.runtime.containerStats, "containerStats").bind(tools.runtime);
    const before = (await stats(container)).cpu;
    await tools.sh(idle, "sleep 2");
    const after = (await stats(container)).cpu;
    const used = Number((after?.usageCoreNanoSeconds ?? 0n) - (before?.usageCoreNanoSeconds ?? 0n));
    const passed = Number((after?.timestamp ?? 0n) - (before?.timestamp ?? 0n));
    expect(used).toBeGreaterThan(0);
    expect(used / passed).toBeLessThan(0.25);
  });

  needing(check, "cpu set")("keeps a container on its processors", async (tools) => {
    const container = await tools.launch({ resources: { cpusetCpus: "0" } });
    const line = await tools.sh(container, "grep ^Cpus_allowed_list: /proc/self/status");
    expect(line.split(/\s+/)[1]).toBe("0");
  });

  needing(check, "oom score")(
    "offers a container to the kernel to be killed first",
    async (tools) => {
      const container = await tools.launch({
        command: ["sh", "-c", "cat /proc/self/oom_score_adj > score; sleep 1000"],
        resources: { oomScoreAdj: 500 },
      });
      const script = "until [ -s score ]; do sleep 0.02; done; cat score";
      expect(await tools.sh(container, script)).toBe("500");
    },
  );

  needing(check, "limits in status")("tells the limits that are in force", async (tools) => {
    const resources = { memoryLimitInBytes: 64 * mib, cpuPeriod: 100_000, cpuQuota: 50_000 };
    const container = await tools.launch({ resources });
    expect((await tools.status(container)).resources?.linux).toMatchObject(resources);
  });

  check("refuses limits that cannot be meant, or sets none of them", async (tools) => {
    const pod = await tools.pod();
    for (const resources of [
      { memoryLimitInBytes: -5 },
      { memoryLimitInBytes: Number.NaN },
      { cpuPeriod: 100_000, cpuQuota: 1.5 },
      { cpusetCpus: "0;1" },
      { unified: { "../escape": "1" } },
    ]) {
      await expect(tools.create(pod, { resources }), JSON.stringify(resources)).rejects.toThrow();
    }
  });

  const updated = needing(check, "update resources", "limits in status");
  updated("changes the limits of a running container", async (tools) => {
    const resources = { memoryLimitInBytes: 256 * mib, memorySwapLimitInBytes: 256 * mib };
    const container = await tools.launch({ resources });
    const update = method(tools.runtime.updateContainerResources, "updateContainerResources");
    await update.call(tools.runtime, { ...container, linux: tight });
    expect((await tools.status(container)).resources?.linux).toMatchObject(tight);
    expect((await tools.trySh(container, hog)).exitCode).toBe(137);
    await update.call(tools.runtime, {
      ...container,
      linux: { cpuPeriod: 100_000, cpuQuota: 70_000 },
    });
    expect((await tools.status(container)).resources?.linux).toMatchObject({
      ...tight,
      cpuQuota: 70_000,
    });
  });

  updated("changes the limits of a container that has not started", async (tools) => {
    const container = await tools.create(await tools.pod(), {
      command: ["sh", "-c", hog],
      resources: { memoryLimitInBytes: 8_192 * mib },
    });
    const update = method(tools.runtime.updateContainerResources, "updateContainerResources");
    await update.call(tools.runtime, { ...container, linux: tight });
    await tools.runtime.startContainer(container);
    expect(await tools.ended(container)).toMatchObject({ reason: "OOMKilled" });
  });

  updated("changes all limits or none", async (tools) => {
    const resources = { memoryLimitInBytes: 256 * mib, cpuPeriod: 100_000, cpuQuota: 50_000 };
    const container = await tools.launch({ resources });
    const update = method(tools.runtime.updateContainerResources, "updateContainerResources");
    // No machine has the processor 100,000.
    const linux = { cpuQuota: 20_000, cpusetCpus: "100000" };
    await expect(update.call(tools.runtime, { ...container, linux })).rejects.toThrow();
    await vi.waitFor(
      async () => expect((await tools.status(container)).resources?.linux).toMatchObject(resources),
      { timeout: 20_000 },
    );
  });

  updated("changes no limits of a container that has ended or never was", async (tools) => {
    const container = await tools.launch({ command: ["true"] });
    await tools.ended(container);
    const update = method(tools.runtime.updateContainerResources, "updateContainerResources");
    await expect(
      update.call(tools.runtime, { ...container, linux: { cpuShares: 512 } }),
    ).rejects.toMatchObject({ code: "SANDBOX_INVALID_STATE" });
    await expect(
      update.call(tools.runtime, { containerId: "no-such-container", linux: { cpuShares: 512 } }),
    ).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
};
