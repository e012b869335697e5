import { describe, expect, it } from "vitest";
import type { LinuxContainerResources } from "@longshore/core";
import { clampOomScoreAdj, ociResources } from "../../src/spec/resources.ts";
import { clampRlimits } from "../../src/spec/rlimits.ts";
import { refusal } from "./refusal.ts";
import { plainHost, plentifulHost } from "./spec-input.ts";

const limits = (resources: LinuxContainerResources, host = plentifulHost) =>
  ociResources(resources, [], host);

describe("limits of a container", () => {
  it("are none when nothing, or 0, is said", () => {
    expect(limits({})).toEqual({ devices: [] });
    expect(limits({ cpuQuota: 0, memoryLimitInBytes: 0, cpuShares: 0, cpusetCpus: "" })).toEqual({
      devices: [],
    });
  });

  it("are written as they are given", () => {
    expect(
      limits({
        cpuShares: 512,
        cpuQuota: 50_000,
        cpuPeriod: 100_000,
        cpusetCpus: "0-1,3",
        cpusetMems: "0",
        memoryLimitInBytes: 1_000_000,
        memorySwapLimitInBytes: 2_000_000,
        hugepageLimits: [{ pageSize: "2MB", limit: 4_194_304 }],
        unified: { "pids.max": "10", "memory.high": "500000" },
      }),
    ).toEqual({
      devices: [],
      cpu: { shares: 512, quota: 50_000, period: 100_000, cpus: "0-1,3", mems: "0" },
      memory: { limit: 1_000_000, swap: 2_000_000 },
      pids: { limit: 10 },
      hugepageLimits: [{ pageSize: "2MB", limit: 4_194_304 }],
      unified: { "memory.high": "500000" },
    });
    expect(limits({ cpuQuota: -1, unified: { "pids.max": "max" } })).toMatchObject({
      cpu: { quota: -1 },
      pids: { limit: -1 },
    });
  });

  it.each([
    ["cpuShares", { cpuShares: 1 }],
    ["cpuShares", { cpuShares: 300_000 }],
    ["cpuQuota", { cpuQuota: 5 }],
    ["cpuQuota", { cpuQuota: -2 }],
    ["cpuPeriod", { cpuPeriod: 10 }],
    ["memoryLimitInBytes", { memoryLimitInBytes: -5 }],
    ["memoryLimitInBytes", { memoryLimitInBytes: 1.5 }],
    ["memoryLimitInBytes", { memoryLimitInBytes: Number.NaN }],
    ["memorySwapLimitInBytes", { memorySwapLimitInBytes: 5 }],
    ["memorySwapLimitInBytes", { memoryLimitInBytes: 10, memorySwapLimitInBytes: 5 }],
    ["cpusetCpus", { cpusetCpus: "0;1" }],
    ["cpusetMems", { cpusetMems: "a" }],
    ["hugepageLimits", { hugepageLimits: [{ pageSize: "../2MB", limit: 1 }] }],
    ["unified.pids.max", { unified: { "pids.max": "many" } }],
    ["unified.pids.max", { unified: { "pids.max": "0" } }],
    ["unified", { unified: { "../cgroup.procs": "1" } }],
    ["unified", { unified: { memory: "1" } }],
  ])("are refused out of range: %s %o", async (field, resources) => {
    expect(await refusal(() => limits(resources))).toBe(`VALIDATION_ERROR ${field}`);
  });

  it.each([
    ["hugepageLimits", { hugepageLimits: [{ pageSize: "2MB", limit: 1 }] }],
    ["unified", { unified: { "memory.high": "5" } }],
  ])("are refused where nothing keeps them: %s", async (field, resources) => {
    expect(await refusal(() => limits(resources, plainHost))).toBe(
      `RUNTIME_NOT_SUPPORTED ${field}`,
    );
  });

  it("are refused without their controller", async () => {
    const bare = { ...plainHost, controllers: new Set<string>(), hasSwapLimit: false };
    const cases = {
      memoryLimitInBytes: { memoryLimitInBytes: 5 },
      cpuQuota: { cpuShares: 5 },
      cpusetCpus: { cpusetCpus: "0" },
      unified: { unified: { "pids.max": "5" } },
    };
    for (const [field, resources] of Object.entries(cases)) {
      expect(await refusal(() => limits(resources, bare))).toBe(`RUNTIME_NOT_SUPPORTED ${field}`);
    }
    const noSwap = { ...plainHost, hasSwapLimit: false };
    expect(
      await refusal(() => limits({ memoryLimitInBytes: 5, memorySwapLimitInBytes: 9 }, noSwap)),
    ).toBe("RUNTIME_NOT_SUPPORTED memorySwapLimitInBytes");
  });

  it("of 0 huge pages are left out where nothing keeps them, and written elsewhere", () => {
    const resources = { hugepageLimits: [{ pageSize: "2MB", limit: 0 }] };
    expect(limits(resources, plainHost)).toEqual({ devices: [] });
    expect(limits(resources)).toMatchObject(resources);
  });

  it("of swap can be taken away by themselves", () => {
    expect(limits({ memorySwapLimitInBytes: -1 })).toMatchObject({ memory: { swap: -1 } });
  });

  it("of processes are kept with cgroup version 1 too", () => {
    expect(limits({ unified: { "pids.max": "7" } }, plainHost)).toMatchObject({
      pids: { limit: 7 },
    });
  });
});

describe("limits of a process", () => {
  it("are lowered to what this program may set", async () => {
    const wanted = [{ type: "RLIMIT_NOFILE", soft: 30_000, hard: 40_000 }];
    expect(clampRlimits(wanted, plentifulHost)).toEqual(wanted);
    expect(clampRlimits(wanted, plainHost)).toEqual([
      { type: "RLIMIT_NOFILE", soft: 20_000, hard: 20_000 },
    ]);
    const core = [{ type: "RLIMIT_CORE", soft: 9, hard: 5 }];
    expect(clampRlimits(core, plainHost)).toEqual([{ type: "RLIMIT_CORE", soft: 5, hard: 5 }]);
    for (const bad of [
      { type: "RLIMIT_NOPE", soft: 1, hard: 1 },
      { type: "RLIMIT_CORE", soft: -1, hard: 1 },
    ]) {
      expect(await refusal(() => clampRlimits([bad], plainHost))).toBe("VALIDATION_ERROR rlimits");
    }
  });

  it("of being spared when memory runs out are never better than this program's own", async () => {
    expect(clampOomScoreAdj(-500, plentifulHost)).toBe(-500);
    expect(clampOomScoreAdj(-500, plainHost)).toBe(-100);
    expect(clampOomScoreAdj(undefined, plainHost)).toBe(0);
    expect(clampOomScoreAdj(700, plainHost)).toBe(700);
    expect(await refusal(() => clampOomScoreAdj(1_001, plainHost))).toBe(
      "VALIDATION_ERROR oomScoreAdj",
    );
  });
});
