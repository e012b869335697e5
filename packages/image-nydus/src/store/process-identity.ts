import { readFileSync } from "node:fs";
import { hasCode } from "@longshore/core/errors";

/** A process, told apart from later ones with the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Start time in clock ticks since boot, and the boot's id; empty where /proc does not tell */
  readonly started: string;
}

export function ownProcess(): ProcessIdentity {
  return { pid: process.pid, started: startOf(process.pid) ?? "" };
}

/** Whether the process is still there. Where that cannot be told for sure, it counts as there. */
export function isAlive({ pid, started }: ProcessIdentity): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (hasCode(error, "ESRCH")) return false;
  }
  return started === "" || startOf(pid) === started;
}

/** Field 22 of `/proc/<pid>/stat`; the name before it, in brackets, may hold anything. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [state, ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A zombie holds nothing any more.
    if (state === "Z" || state === "X") return undefined;
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return `${boot}:${fields[18] ?? ""}`;
  } catch {
    return undefined;
  }
}
