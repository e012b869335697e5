import { randomBytes } from "node:crypto";
import { readFile, readlink } from "node:fs/promises";

/** Environment variable that marks every process of one attempt. */
export const attemptVariable = "LONGSHORE_ATTEMPT";

/** A value no other attempt has; it also names the worker's process, so that orphans can be told from live jobs. */
export async function createAttemptToken(): Promise<string> {
  const random = randomBytes(16).toString("hex");
  const startTicks = await startTicksOf(process.pid);
  return `${await pidNamespace()}.${process.pid}.${startTicks ?? 0}.${random}`;
}

/** Whether the worker that made the token has ended. Tokens of another PID namespace are never judged. */
export async function isOrphanToken(token: string): Promise<boolean> {
  const [namespace, pid, startTicks] = token.split(".");
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
