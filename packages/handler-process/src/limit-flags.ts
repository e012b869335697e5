import { readdir, readFile, stat } from "node:fs/promises";

/** Limits a process is to have; all are optional. */
export interface ProcessLimits {
  /** MiB of address space of each process */
  readonly memoryMb?: number | undefined;
  /** Processes and threads of the job's user, beyond those it has already */
  readonly pids?: number | undefined;
  /** MiB of the largest file */
  readonly diskMb?: number | undefined;
  /** CPU time of each process */
  readonly cpuSeconds?: number | undefined;
}

const mib = 1_048_576;
/** From SIGXCPU, which a process may catch, to SIGKILL */
const cpuGraceSeconds = 5;

/**
 * The limits as flags of prlimit(1). A limit is only ever lowered: where the worker's own is tighter, that one stays.
 *
 * @param uid user the process runs as
 */
export async function limitFlags(limits: ProcessLimits, uid: number): Promise<readonly string[]> {
  const { memoryMb, pids, diskMb, cpuSeconds } = limits;
  const own = await ownLimits();
  const flags: string[] = [];
  const add = (flag: string, name: string, wanted: number): void => {
    flags.push(`--${flag}=${Math.min(wanted, own.get(name) ?? Infinity)}`);
  };
  if (memoryMb !== undefined) add("as", "Max address space", memoryMb * mib);
  if (diskMb !== undefined) add("fsize", "Max file size", diskMb * mib);
  if (pids !== undefined) add("nproc", "Max processes", (await countTasks(uid)) + pids);
  if (cpuSeconds !== undefined) {
    const soft = Math.min(Math.ceil(cpuSeconds), own.get("Max cpu time") ?? Infinity);
    const hard = Math.min(soft + cpuGraceSeconds, own.get("Max cpu time") ?? Infinity);
    flags.push(`--cpu=${soft}:${hard}`);
  }
  return flags.length === 0 ? [] : ["--core=0", ...flags];
}

/** Processes and threads of a user: what RLIMIT_NPROC counts. */
async function countTasks(uid: number): Promise<number> {
  let count = 0;
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if ((await stat(`/proc/${name}`)).uid !== uid) continue;
      const status = await readFile(`/proc/${name}/status`, "latin1");
      count += Number(/^Threads:\s+(\d+)/m.exec(status)?.[1] ?? 1);
    } catch {
      // It has ended.
    }
  }
  return count;
}

/** The worker's own soft limits by name; unlimited ones are left out. */
async function ownLimits(): Promise<ReadonlyMap<string, number>> {
  const limits = new Map<string, number>();
  for (const line of (await readFile("/proc/self/limits", "latin1")).split("\n")) {
    const [, name, soft] = /^(Max [a-z ]*[a-z])\s+(\d+)\s/.exec(line) ?? [];
    if (name !== undefined) limits.set(name, Number(soft));
  }
  return limits;
}
