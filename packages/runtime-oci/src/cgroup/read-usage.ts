import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  nanosecondsFromMs,
  type CpuUsage,
  type IoUsage,
  type MemoryUsage,
  type ProcessUsage,
  type PsiData,
  type PsiStats,
  type SwapUsage,
} from "@longshore/core";
import { cgroupDirectory, type CgroupHierarchies } from "./hierarchies.ts";

/** What a cgroup has used, as far as the kernel counts it. */
export interface CgroupUsage {
  readonly cpu: CpuUsage;
  readonly memory: MemoryUsage;
  readonly swap: SwapUsage;
  readonly io: IoUsage;
  readonly process: ProcessUsage;
}

/** Reads the counters of a cgroup; one that is gone shows zeros. */
export async function readUsage(
  hierarchies: CgroupHierarchies | undefined,
  path: string | undefined,
): Promise<CgroupUsage> {
  const timestamp = nanosecondsFromMs(Date.now());
  const read = async (controller: string, file: string): Promise<string | undefined> => {
    if (hierarchies === undefined || path === undefined) return undefined;
    const directory = cgroupDirectory(hierarchies, path, controller);
    if (directory === undefined) return undefined;
    return readFile(join(directory, file), "utf8").catch(() => undefined);
  };
  return hierarchies?.version === 2 ? readV2(read, timestamp) : readV1(read, timestamp);
}

/** Bytes of memory that a cgroup of version 2 cannot be made to do without: what is there but files that can be read again. */
export async function readUnreclaimable(
  hierarchies: CgroupHierarchies,
  path: string | undefined,
): Promise<number> {
  const directory = path && cgroupDirectory(hierarchies, path, "");
  if (!directory) return 0;
  const [usage, text] = await Promise.all(
    ["memory.current", "memory.stat"].map(async (name) =>
      readFile(join(directory, name), "utf8").catch(() => undefined),
    ),
  );
  const stat = parseKeys(text);
  const spare = ["active_file", "inactive_file", "slab_reclaimable"];
  return spare.reduce((bytes, name) => bytes - (stat.get(name) ?? 0), toNumber(usage));
}

type Read = (controller: string, file: string) => Promise<string | undefined>;

/** @see https://docs.kernel.org/admin-guide/cgroup-v1/memory.html */
async function readV1(read: Read, timestamp: bigint): Promise<CgroupUsage> {
  const [cpuTime, usage, limit, memoryStat, swap, swapLimit, pids] = await Promise.all([
    read("cpuacct", "cpuacct.usage"),
    read("memory", "memory.usage_in_bytes"),
    read("memory", "memory.limit_in_bytes"),
    read("memory", "memory.stat"),
    read("memory", "memory.memsw.usage_in_bytes"),
    read("memory", "memory.memsw.limit_in_bytes"),
    read("pids", "pids.current"),
  ]);
  const stat = parseKeys(memoryStat);
  const usageBytes = toNumber(usage);
  return {
    cpu: { timestamp, usageCoreNanoSeconds: BigInt(cpuTime?.trim() || "0") },
    memory: memoryUsage(timestamp, {
      usageBytes,
      limitBytes: toNumber(limit),
      inactiveFileBytes: stat.get("total_inactive_file") ?? 0,
      rssBytes: stat.get("total_rss") ?? 0,
      pageFaults: stat.get("total_pgfault") ?? 0,
      majorPageFaults: stat.get("total_pgmajfault") ?? 0,
    }),
    swap: {
      timestamp,
      ...(swap !== undefined && { swapUsageBytes: Math.max(0, toNumber(swap) - usageBytes) }),
      ...available("swapAvailableBytes", toNumber(swapLimit), toNumber(swap)),
    },
    io: { timestamp },
    process: { timestamp, processCount: toNumber(pids) },
  };
}

/** @see https://docs.kernel.org/admin-guide/cgroup-v2.html */
async function readV2(read: Read, timestamp: bigint): Promise<CgroupUsage> {
  const names = [
    "cpu.stat",
    "memory.current",
    "memory.max",
    "memory.stat",
    "memory.swap.current",
    "memory.swap.max",
    "pids.current",
  ];
  const [cpuStat, usage, limit, memoryStat, swap, swapLimit, pids] = await Promise.all(
    names.map(async (name) => read("", name)),
  );
  const [cpuPsi, memoryPsi, ioPsi] = await Promise.all(
    ["cpu", "memory", "io"].map(async (name) => parsePsi(await read("", `${name}.pressure`))),
  );
  const stat = parseKeys(memoryStat);
  const microseconds = parseKeys(cpuStat).get("usage_usec") ?? 0;
  return {
    cpu: { timestamp, usageCoreNanoSeconds: BigInt(microseconds) * 1_000n, psi: cpuPsi },
    memory: {
      ...memoryUsage(timestamp, {
        usageBytes: toNumber(usage),
        limitBytes: toNumber(limit),
        inactiveFileBytes: stat.get("inactive_file") ?? 0,
        rssBytes: stat.get("anon") ?? 0,
        pageFaults: stat.get("pgfault") ?? 0,
        majorPageFaults: stat.get("pgmajfault") ?? 0,
      }),
      psi: memoryPsi,
    },
    swap: {
      timestamp,
      ...(swap !== undefined && { swapUsageBytes: toNumber(swap) }),
      ...available("swapAvailableBytes", toNumber(swapLimit), toNumber(swap)),
    },
    io: { timestamp, psi: ioPsi },
    process: { timestamp, processCount: toNumber(pids) },
  };
}

interface MemoryCounters {
  readonly usageBytes: number;
  readonly limitBytes: number;
  readonly inactiveFileBytes: number;
  readonly rssBytes: number;
  readonly pageFaults: number;
  readonly majorPageFaults: number;
}

function memoryUsage(timestamp: bigint, counters: MemoryCounters): MemoryUsage {
  const { usageBytes, limitBytes, inactiveFileBytes, rssBytes, pageFaults, majorPageFaults } =
    counters;
  const workingSetBytes = Math.max(0, usageBytes - inactiveFileBytes);
  return {
    timestamp,
    usageBytes,
    workingSetBytes,
    rssBytes,
    pageFaults,
    majorPageFaults,
    ...available("availableBytes", limitBytes, workingSetBytes),
  };
}

/** Version 1 says "no limit" with a number near 2^63, version 2 with a word. */
const noLimit = 2 ** 62;

function available<Name extends string>(
  name: Name,
  limit: number,
  used: number,
): Partial<Record<Name, number>> {
  if (!(limit > 0 && limit < noLimit)) return {};
  return { [name]: Math.max(0, limit - used) } as Record<Name, number>;
}

function toNumber(text: string | undefined): number {
  const number = Number(text?.trim() ?? "0");
  return Number.isNaN(number) ? 0 : number;
}

function parseKeys(text: string | undefined): ReadonlyMap<string, number> {
  const lines = (text ?? "").split("\n").map((line) => line.split(" "));
  return new Map(lines.map(([key = "", value]) => [key, Number(value ?? 0)] as const));
}

/** @see https://docs.kernel.org/accounting/psi.html */
function parsePsi(text: string | undefined): PsiStats | undefined {
  if (text === undefined) return undefined;
  const line = (kind: "some" | "full"): PsiData => {
    const fields = new Map(
      (text.split("\n").find((each) => each.startsWith(kind)) ?? "").split(" ").map((field) => {
        const [name = "", value] = field.split("=");
        return [name, value] as const;
      }),
    );
    const value = (name: string): number => Number(fields.get(name) ?? 0);
    return {
      total: BigInt(value("total")) * 1_000n,
      avg10: value("avg10"),
      avg60: value("avg60"),
      avg300: value("avg300"),
    };
  };
  return { full: line("full"), some: line("some") };
}
