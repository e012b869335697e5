import { readdir, readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { hasCode } from "@longshore/core";
import { attemptVariable, isOrphanToken } from "./attempt-token.ts";

const batchSize = 32;
const roundMs = 20;
const giveUpMs = 1_500;

/**
 * Kills every process that carries the token, wherever it went, and waits until none of them runs. Linux only; elsewhere
 * there is no way to look.
 */
export function killAttempt(token: string): Promise<void> {
  return killMarked((found) => Promise.resolve(found === token));
}

/** Kills the processes of attempts whose worker is gone, e.g. by `kill -9`. */
export function killOrphans(): Promise<void> {
  return killMarked(isOrphanToken);
}

/** Whether a member of the process group still runs; zombies do not. */
export async function isGroupRunning(groupId: number): Promise<boolean> {
  try {
    process.kill(-groupId, 0);
  } catch (error) {
    // EPERM: a member that runs as somebody else.
    return hasCode(error, "EPERM");
  }
  if (process.platform !== "linux") return true;
  const running = await findProcesses(async (pid) => {
    const stat = await readFile(`/proc/${pid}/stat`, "latin1");
    const [state, , group] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(group) === groupId && state !== "Z" && state !== "X";
  });
  return running.length > 0;
}

async function killMarked(isWanted: (token: string) => Promise<boolean>): Promise<void> {
  if (process.platform !== "linux") return;
  const prefix = `${attemptVariable}=`;
  const isMarked = async (pid: number): Promise<boolean> => {
    if (pid === process.pid) return false;
    const environ = await readFile(`/proc/${pid}/environ`, "latin1");
    const entry = environ.split("\0").find((variable) => variable.startsWith(prefix));
    return entry !== undefined && (await isWanted(entry.slice(prefix.length)));
  };
  const endMs = performance.now() + giveUpMs;
  // More than one round: a process may fork while we look. A dead one has no environment any more.
  for (;;) {
    const found = await findProcesses(isMarked);
    if (found.length === 0 || performance.now() > endMs) return;
    for (const pid of found) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended by itself.
      }
    }
    await delay(roundMs);
  }
}

async function findProcesses(
  isWanted: (pid: number) => Promise<boolean>,
): Promise<readonly number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const found: number[] = [];
  // In batches: a file descriptor for every process of the machine would be too many.
  for (let start = 0; start < pids.length; start += batchSize) {
    const batch = pids.slice(start, start + batchSize);
    const answers = await Promise.all(
      batch.map((pid) => isWanted(pid).catch(() => false /* ended, or not ours to see */)),
    );
    found.push(...batch.filter((_pid, index) => answers[index]));
  }
  return found;
}
