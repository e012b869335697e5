import type { LinuxContainerResources } from "@longshore/core";
import type { HostFacts } from "./host-facts.ts";
import type { OciDeviceRule, OciResources } from "./oci-spec.ts";
import { invalid, unsupported } from "./spec-error.ts";

/**
 * Limits of a container. What is absent or 0 sets none.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for numbers out of range, `RUNTIME_NOT_SUPPORTED` when the machine lacks the
 *   controller for a limit
 */
export function ociResources(
  resources: LinuxContainerResources,
  devices: readonly OciDeviceRule[],
  host: HostFacts,
): OciResources {
  const memory = memoryLimits(resources, host);
  const cpu = cpuLimits(resources, host);
  const { pids, unified } = unifiedLimits(resources.unified ?? {}, host);
  const hugepageLimits = hugepages(resources, host);
  return {
    devices,
    ...(Object.keys(memory).length > 0 && { memory }),
    ...(Object.keys(cpu).length > 0 && { cpu }),
    ...(pids !== undefined && { pids: { limit: pids } }),
    ...(hugepageLimits.length > 0 && { hugepageLimits }),
    ...(Object.keys(unified).length > 0 && { unified }),
  };
}

/**
 * The score to write: never below what this program may set, and 0 rather than the program's own when nothing is said.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` outside of -1000–1000
 */
export function clampOomScoreAdj(asked: number | undefined, host: HostFacts): number {
  const score = checkRange("oomScoreAdj", asked ?? 0, [-1_000, 1_000]);
  return host.hasSysResource ? score : Math.max(score, host.oomScoreAdj);
}

function memoryLimits(
  { memoryLimitInBytes: limit, memorySwapLimitInBytes: swap }: LinuxContainerResources,
  host: HostFacts,
): NonNullable<OciResources["memory"]> {
  if (isUnset(limit) && isUnset(swap)) return {};
  requireController(host, "memoryLimitInBytes", ["memory"]);
  if (isUnset(limit) && swap === -1) return host.hasSwapLimit ? { swap } : {};
  if (isUnset(limit)) {
    throw invalid("memorySwapLimitInBytes", "A limit of memory and swap needs one of memory too.");
  }
  checkRange("memoryLimitInBytes", limit, [1, Number.MAX_SAFE_INTEGER]);
  if (isUnset(swap)) return { limit };
  checkRange("memorySwapLimitInBytes", swap, [-1, Number.MAX_SAFE_INTEGER]);
  if (swap !== -1 && swap < limit) {
    throw invalid("memorySwapLimitInBytes", "Memory and swap together cannot be less than memory.");
  }
  if (!host.hasSwapLimit) {
    throw unsupported("memorySwapLimitInBytes", "This kernel does not count swap by container.");
  }
  return { limit, swap };
}

function hugepages(
  { hugepageLimits = [] }: LinuxContainerResources,
  host: HostFacts,
): NonNullable<OciResources["hugepageLimits"]> {
  // The kubelet writes a 0 for every size that it was not asked about, whether or not it can be kept.
  const wanted = hugepageLimits.filter(
    ({ limit }) => limit !== 0 || host.controllers.has("hugetlb"),
  );
  return wanted.map(({ pageSize, limit }) => {
    requireController(host, "hugepageLimits", ["hugetlb"]);
    if (!/^\d+(KB|MB|GB)$/.test(pageSize)) {
      throw invalid(
        "hugepageLimits",
        `A page size is like "2MB", not ${JSON.stringify(pageSize)}.`,
      );
    }
    return { pageSize, limit: checkRange("hugepageLimits", limit, [0, Number.MAX_SAFE_INTEGER]) };
  });
}

function cpuLimits(
  resources: LinuxContainerResources,
  host: HostFacts,
): NonNullable<OciResources["cpu"]> {
  const { cpuShares: shares, cpuQuota: quota, cpuPeriod: period } = resources;
  const { cpusetCpus: cpus, cpusetMems: mems } = resources;
  if (![shares, quota, period].every(isUnset)) requireController(host, "cpuQuota", ["cpu"]);
  if (cpus || mems) requireController(host, "cpusetCpus", ["cpuset"]);
  return {
    // The kernel's own bounds: MIN_SHARES to MAX_SHARES, and 1 ms to 1 s for what it schedules by.
    ...(!isUnset(shares) && { shares: checkRange("cpuShares", shares, [2, 262_144]) }),
    ...(!isUnset(quota) && {
      quota: quota === -1 ? -1 : checkRange("cpuQuota", quota, [1_000, Number.MAX_SAFE_INTEGER]),
    }),
    ...(!isUnset(period) && { period: checkRange("cpuPeriod", period, [1_000, 1_000_000]) }),
    ...(cpus && { cpus: checkList("cpusetCpus", cpus) }),
    ...(mems && { mems: checkList("cpusetMems", mems) }),
  };
}

/** `pids.max` has a place of its own in the specification, which both cgroup versions know; the rest is of version 2 only. */
function unifiedLimits(
  files: Readonly<Record<string, string>>,
  host: HostFacts,
): { pids?: number; unified: Readonly<Record<string, string>> } {
  const { "pids.max": pids, ...unified } = files;
  for (const [file, content] of Object.entries(unified)) {
    const shown = JSON.stringify(file.slice(0, 64));
    if (!/^[a-z\d]+(\.[\w-]+)+$/i.test(file) || content.includes("\0") || content.length > 4_096) {
      throw invalid("unified", `${shown} is no file of a cgroup, or its content is too long.`);
    }
    if (host.cgroupVersion === 1) {
      throw unsupported("unified", `${shown} is a file of cgroup version 2; this machine has 1.`);
    }
    requireController(host, "unified", file.startsWith("cgroup.") ? [] : [file.split(".", 1)[0]]);
  }
  if (pids === undefined) return { unified };
  requireController(host, "unified", ["pids"]);
  if (pids.trim() === "max") return { pids: -1, unified };
  const limit = /^\d+$/.test(pids.trim()) ? Number(pids) : Number.NaN;
  // PID_MAX_LIMIT of a 64-bit kernel.
  return { pids: checkRange("unified.pids.max", limit, [1, 4_194_304]), unified };
}

function requireController(
  host: HostFacts,
  field: string,
  names: readonly (string | undefined)[],
): void {
  for (const name of names) {
    if (name !== undefined && !host.controllers.has(name)) {
      throw unsupported(field, `There is no cgroup controller "${name}" here to keep this limit.`);
    }
  }
}

function isUnset(value: number | undefined): value is 0 | undefined {
  return value === undefined || value === 0;
}

function checkRange(
  field: string,
  value: number,
  [lowest, highest]: readonly [lowest: number, highest: number],
): number {
  if (Number.isSafeInteger(value) && value >= lowest && value <= highest) return value;
  throw invalid(field, `${field} is a whole number from ${lowest} to ${highest}, not ${value}.`);
}

/** A list such as `0-3,7`; which of them there are, the kernel knows. */
function checkList(field: string, list: string): string {
  if (list.length <= 1_024 && /^\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?)*$/.test(list)) return list;
  throw invalid(
    field,
    `${field} is a list like "0-3,7", not ${JSON.stringify(list.slice(0, 64))}.`,
  );
}
