/** Limits of a container or pod on Linux. A field that is absent or 0 sets no limit, or leaves an update's as it is. */
export interface LinuxContainerResources {
  /** Length of a scheduling period, µs */
  readonly cpuPeriod?: number | undefined;
  /** Processor time in a period, µs; -1 for no limit */
  readonly cpuQuota?: number | undefined;
  /** Weight against others, 2–262144, 1024 for one processor */
  readonly cpuShares?: number | undefined;
  readonly memoryLimitInBytes?: number | undefined;
  /** -1000–1000 */
  readonly oomScoreAdj?: number | undefined;
  /** Processors to run on, e.g. `"0-3,7"` */
  readonly cpusetCpus?: string | undefined;
  /** Memory nodes to allocate on */
  readonly cpusetMems?: string | undefined;
  readonly hugepageLimits?: readonly HugepageLimit[] | undefined;
  /** cgroup v2 file to content, e.g. `{"pids.max": "256"}`; with cgroup v1 `pids.max` is set in its place and all else refused */
  readonly unified?: Readonly<Record<string, string>> | undefined;
  /** Memory and swap together */
  readonly memorySwapLimitInBytes?: number | undefined;
}

export interface HugepageLimit {
  /** e.g. `"2MB"` */
  readonly pageSize: string;
  /** Bytes */
  readonly limit: number;
}

/** Limits that are in force. */
export interface ContainerResources {
  readonly linux?: LinuxContainerResources | undefined;
}
