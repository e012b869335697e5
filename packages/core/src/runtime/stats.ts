import type { ContainerMetadata } from "./container.ts";
import type { Nanoseconds } from "./nanoseconds.ts";
import type { PodSandboxMetadata } from "./pod-sandbox.ts";

/** A reading; a value that the kernel does not give is absent, which is not the same as 0. */
interface Reading {
  /** When it was taken; never 0 */
  readonly timestamp: Nanoseconds;
}

export interface CpuUsage extends Reading {
  /** Processor time of all processors since the start */
  readonly usageCoreNanoSeconds?: Nanoseconds | undefined;
  /** Present use; 1e9 is one processor fully busy */
  readonly usageNanoCores?: number | undefined;
  readonly psi?: PsiStats | undefined;
}

export interface MemoryUsage extends Reading {
  /** Usage without file pages that can go at once */
  readonly workingSetBytes?: number | undefined;
  /** Limit minus working set; absent without a limit */
  readonly availableBytes?: number | undefined;
  readonly usageBytes?: number | undefined;
  /** Anonymous memory */
  readonly rssBytes?: number | undefined;
  readonly pageFaults?: number | undefined;
  readonly majorPageFaults?: number | undefined;
  readonly psi?: PsiStats | undefined;
}

export interface SwapUsage extends Reading {
  readonly swapAvailableBytes?: number | undefined;
  readonly swapUsageBytes?: number | undefined;
}

export interface IoUsage extends Reading {
  readonly psi?: PsiStats | undefined;
}

/** Pressure stall information: time in which all (`full`) or some tasks waited. */
export interface PsiStats {
  readonly full: PsiData;
  readonly some: PsiData;
}

export interface PsiData {
  readonly total: Nanoseconds;
  /** Percent of the last 10 seconds */
  readonly avg10: number;
  readonly avg60: number;
  readonly avg300: number;
}

export interface FilesystemUsage extends Reading {
  readonly fsId: { readonly mountpoint: string };
  readonly usedBytes?: number | undefined;
  readonly inodesUsed?: number | undefined;
}

/** All counters since the sandbox's start; loopback is left out. */
export interface NetworkUsage extends Reading {
  readonly defaultInterface?: NetworkInterfaceUsage | undefined;
  /** Interfaces beside the default one */
  readonly interfaces: readonly NetworkInterfaceUsage[];
}

export interface NetworkInterfaceUsage {
  readonly name: string;
  readonly rxBytes?: number | undefined;
  readonly rxErrors?: number | undefined;
  readonly txBytes?: number | undefined;
  readonly txErrors?: number | undefined;
}

export interface ProcessUsage extends Reading {
  readonly processCount?: number | undefined;
}

/** Use of one container; one that has not started shows zeros. */
export interface ContainerStats {
  readonly attributes: StatsAttributes<ContainerMetadata>;
  readonly cpu?: CpuUsage | undefined;
  readonly memory?: MemoryUsage | undefined;
  /** What the container wrote over its image */
  readonly writableLayer?: FilesystemUsage | undefined;
  readonly swap?: SwapUsage | undefined;
  readonly io?: IoUsage | undefined;
}

/** Use of one sandbox as a whole, and of each of its containers. */
export interface PodSandboxStats {
  readonly attributes: StatsAttributes<PodSandboxMetadata>;
  readonly linux?:
    | {
        readonly cpu?: CpuUsage | undefined;
        readonly memory?: MemoryUsage | undefined;
        readonly network?: NetworkUsage | undefined;
        readonly process?: ProcessUsage | undefined;
        readonly io?: IoUsage | undefined;
        readonly containers: readonly ContainerStats[];
      }
    | undefined;
}

/** Whose reading it is. */
export interface StatsAttributes<Metadata> {
  readonly id: string;
  readonly metadata: Metadata;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Every field that is set must match. Only running containers are listed. */
export interface ContainerStatsFilter {
  readonly id?: string | undefined;
  readonly podSandboxId?: string | undefined;
  readonly labelSelector?: Readonly<Record<string, string>> | undefined;
}

/** Every field that is set must match. */
export interface PodSandboxStatsFilter {
  readonly id?: string | undefined;
  readonly labelSelector?: Readonly<Record<string, string>> | undefined;
}
