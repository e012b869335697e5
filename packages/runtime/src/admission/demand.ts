import type { LinuxContainerResources } from "@longshore/core";

/** What a sandbox may use at most, or what there is of it. */
export interface Demand {
  /** Thousandths of a processor */
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  /** Processes and threads */
  readonly pids: number;
}

/** The dimensions of a demand. */
export const dimensions = ["cpuMillis", "memoryBytes", "pids"] as const;

const noDemand: Demand = { cpuMillis: 0, memoryBytes: 0, pids: 0 };

/** The kernel's period when none is set, µs; see `cpu.max` in the kernel's cgroup-v2 documentation */
const defaultPeriodUs = 100_000;

/** What limits allow at most; a limit that is not set counts as nothing. */
export function demandOf(resources: LinuxContainerResources | undefined): Demand {
  const { cpuQuota = 0, cpuPeriod = 0, memoryLimitInBytes = 0, unified } = resources ?? {};
  const pids = Number(unified?.["pids.max"] ?? 0);
  return {
    cpuMillis: cpuQuota > 0 ? Math.ceil((cpuQuota * 1_000) / (cpuPeriod || defaultPeriodUs)) : 0,
    memoryBytes: Math.max(0, memoryLimitInBytes),
    pids: Number.isSafeInteger(pids) && pids > 0 ? pids : 0,
  };
}

export function addDemands(demands: readonly Demand[]): Demand {
  return combine(demands, (a, b) => a + b);
}

/** In each dimension the larger one. */
export function largestDemand(...demands: readonly Demand[]): Demand {
  return combine(demands, Math.max);
}

function combine(demands: readonly Demand[], how: (a: number, b: number) => number): Demand {
  return demands.reduce(
    (a, b) => ({
      cpuMillis: how(a.cpuMillis, b.cpuMillis),
      memoryBytes: how(a.memoryBytes, b.memoryBytes),
      pids: how(a.pids, b.pids),
    }),
    noDemand,
  );
}
