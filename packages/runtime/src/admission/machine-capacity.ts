import { readFile } from "node:fs/promises";
import { availableParallelism, totalmem } from "node:os";
import type { Demand } from "./demand.ts";

/** What this machine has: its processors, its memory, and the numbers it can give to processes (`kernel.pid_max`). */
export async function machineCapacity(): Promise<Demand> {
  const text = await readFile("/proc/sys/kernel/pid_max", "latin1");
  return {
    cpuMillis: availableParallelism() * 1_000,
    memoryBytes: totalmem(),
    pids: Number.parseInt(text, 10),
  };
}
