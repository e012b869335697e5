import type { LinuxContainerResources } from "@longshore/core";
import { invalid } from "./check-fields.ts";

/** Whole numbers, and the least that each may be. */
const least = {
  cpuPeriod: 0,
  cpuQuota: -1,
  cpuShares: 0,
  memoryLimitInBytes: 0,
  memorySwapLimitInBytes: -1,
  oomScoreAdj: -1_000,
} as const satisfies Partial<Record<keyof LinuxContainerResources, number>>;

/** Limits that no kernel could keep are refused. @throws {LongshoreError} `VALIDATION_ERROR` with the field */
export function checkResources(
  field: string,
  resources: LinuxContainerResources | undefined,
): void {
  if (resources === undefined) return;
  for (const [name, min] of Object.entries(least)) {
    const value = resources[name as keyof typeof least];
    if (value === undefined) continue;
    if (!Number.isSafeInteger(value) || value < min) {
      throw invalid(`${field}.${name}`, `must be a whole number of ${min} or more.`);
    }
  }
  if ((resources.oomScoreAdj ?? 0) > 1_000) {
    throw invalid(`${field}.oomScoreAdj`, "must be at most 1000.");
  }
  for (const name of ["cpusetCpus", "cpusetMems"] as const) {
    if (!/^(\d+(-\d+)?(,\d+(-\d+)?)*)?$/.test(resources[name] ?? "")) {
      throw invalid(`${field}.${name}`, 'must be a list such as "0-3,7".');
    }
  }
  for (const [name, value] of Object.entries(resources.unified ?? {})) {
    if (!/^[a-z0-9_]+(\.[A-Za-z0-9_]+)+$/.test(name)) {
      throw invalid(`${field}.unified`, `${JSON.stringify(name.slice(0, 100))} is no cgroup file.`);
    }
    if (typeof value !== "string" || /[\0\n]/.test(value.trimEnd())) {
      throw invalid(`${field}.unified.${name}`, "must be one line of text.");
    }
  }
  for (const { pageSize, limit } of resources.hugepageLimits ?? []) {
    if (!/^\d+[KMG]B$/.test(pageSize) || !Number.isSafeInteger(limit) || limit < 0) {
      throw invalid(`${field}.hugepageLimits`, 'must have sizes such as "2MB" and bytes.');
    }
  }
}
