import { readFile } from "node:fs/promises";

/** A process, told apart from later ones with the same number, and from those before the machine was restarted. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks between the start of the machine and its own */
  readonly startTime: string;
  readonly bootId: string;
}

/** The process this runs in. */
export async function ownProcessIdentity(): Promise<ProcessIdentity> {
  const [startTime = "0", bootId] = await Promise.all([startTimeOf(process.pid), readBootId()]);
  return { pid: process.pid, startTime, bootId };
}

/** Whether that very process still runs; one that only waits to be reaped does not. */
export async function isProcessAlive(identity: ProcessIdentity): Promise<boolean> {
  if (identity.bootId !== (await readBootId())) return false;
  return (await startTimeOf(identity.pid)) === identity.startTime;
}

async function readBootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "latin1")).trim();
}

/**
 * When a process started, in clock ticks after the machine: field 22 of `/proc/<pid>/stat`, see proc_pid_stat(5).
 *
 * @returns `undefined` for a process that is gone or only waits to be reaped
 */
export async function startTimeOf(pid: number): Promise<string | undefined> {
  let text: string;
  try {
    text = await readFile(`/proc/${pid}/stat`, "latin1");
  } catch {
    // Gone, which is the answer.
    return undefined;
  }
  // The command's name before it stands in brackets and may have anything in it.
  const [state, ...fields] = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return state === "Z" || state === "X" ? undefined : fields[18];
}
