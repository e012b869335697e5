import type { CpuUsage, Nanoseconds } from "@longshore/core";

/** A reading of the processor time, and the rate found with it. */
export interface CpuReading {
  readonly timestamp: Nanoseconds;
  readonly usage: Nanoseconds;
  readonly rate?: number | undefined;
}

/** Readings closer together say more about the clock's grain than about the load. */
const minIntervalNs = 100_000_000n;

/** Adds how much of the processors is in use now, when an earlier reading makes that known. */
export function withRate(
  cpu: CpuUsage,
  last: CpuReading | undefined,
): { readonly cpu: CpuUsage; readonly reading: CpuReading | undefined } {
  const { timestamp, usageCoreNanoSeconds: usage } = cpu;
  if (cpu.usageNanoCores !== undefined || usage === undefined) return { cpu, reading: last };
  if (last === undefined || usage < last.usage || timestamp < last.timestamp) {
    return { cpu, reading: { timestamp, usage } };
  }
  const interval = timestamp - last.timestamp;
  if (interval < minIntervalNs) {
    return {
      cpu: last.rate === undefined ? cpu : { ...cpu, usageNanoCores: last.rate },
      reading: last,
    };
  }
  const rate = Number(((usage - last.usage) * 1_000_000_000n) / interval);
  return { cpu: { ...cpu, usageNanoCores: rate }, reading: { timestamp, usage, rate } };
}
