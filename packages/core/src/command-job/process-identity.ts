import { readFile, readlink } from "node:fs/promises";

/**
 * Names this process among all that the machine will ever have since it started: PID namespace, number and start. It
 * marks what a program makes, so that what it left behind when it died can be told from what a live one has.
 */
export async function processIdentity(): Promise<string> {
  return `${await pidNamespace()}.${process.pid}.${(await startTicksOf(process.pid)) ?? 0}`;
}

/** Whether the process of that identity has ended. What another PID namespace has is never judged. */
export async function isProcessGone(identity: string): Promise<boolean> {
  const [namespace, pid, startTicks] = identity.split(".");
  if (namespace === undefined || namespace === "0" || namespace !== (await pidNamespace())) {
    return false;
  }
  if (pid === undefined || !/^\d{1,10}$/.test(pid)) return false;
  // A process with that number and another start is a later one.
  return String(await startTicksOf(Number(pid))) !== startTicks;
}

async function pidNamespace(): Promise<string> {
  try {
    return /\d+/.exec(await readlink("/proc/self/ns/pid"))?.[0] ?? "0";
  } catch {
    // No /proc: orphans cannot be found either.
    return "0";
  }
}

async function startTicksOf(pid: number): Promise<number | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "latin1");
    // The name in parentheses may hold anything; starttime is the 20th field after it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(fields[19]);
  } catch {
    // No such process.
    return undefined;
  }
}
