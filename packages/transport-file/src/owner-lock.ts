import { randomUUID } from "node:crypto";
import { readFile, rmdir, stat, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import {
  hasCode,
  isLongshoreError,
  LongshoreError,
  ownerFile,
  type OwnerFile,
} from "@longshore/core";
import { z } from "zod";

const ownerSchema = z.object({
  pid: z.int().min(1),
  /** Ticks since boot at which the process started; with the pid it names one process for good */
  started: z.string(),
  host: z.string(),
  boot: z.string(),
  instance: z.string(),
});
type Owner = z.infer<typeof ownerSchema>;

/** A worker id that this process alone uses in a jobs directory. */
export interface OwnerLock extends AsyncDisposable {
  /** Says that the owner is alive, to workers on other hosts. */
  touch(): Promise<void>;
}

/**
 * Takes the worker id for this process.
 *
 * @throws {LongshoreError} `WORKER_ID_IN_USE`
 */
export async function lockOwner(
  directory: string,
  workerId: string,
  leaseMs: number,
): Promise<OwnerLock> {
  const path = pathIn(directory);
  const taken = await ownerIn(directory, workerId, leaseMs).take({
    pid: process.pid,
    started: (await startOf(process.pid)) ?? "",
    host: hostname(),
    boot: await bootId(),
    instance: randomUUID(),
  });
  return {
    async touch() {
      const now = new Date();
      await utimes(path, now, now);
    },
    [Symbol.asyncDispose]: () => taken[Symbol.asyncDispose](),
  };
}

/**
 * Whether the owner of a claim directory may still be at work. On this host the process is looked up; another host's is
 * believed to live while it touches its file.
 */
export async function isOwnerAlive(directory: string, leaseMs: number): Promise<boolean> {
  return ownerIn(directory, "", leaseMs).isTaken();
}

/** Takes a claim directory away whose owner is dead, when nothing else is in it. */
export async function removeDeadOwner(
  directory: string,
  workerId: string,
  leaseMs: number,
): Promise<void> {
  try {
    if (await ownerIn(directory, workerId, leaseMs).removeDead()) await rmdir(directory);
  } catch (error) {
    // Somebody came to life under this id, or tidies up as well.
    const isUsed = hasCode(error, "ENOTEMPTY", "ENOENT") || isLongshoreError(error);
    if (!isUsed) throw error;
  }
}

function pathIn(directory: string): string {
  return join(directory, ".owner");
}

function ownerIn(directory: string, workerId: string, leaseMs: number): OwnerFile<Owner> {
  const path = pathIn(directory);
  return ownerFile({
    path,
    schema: ownerSchema,
    mode: 0o666,
    isAlive: (owner) => isAlive(owner, path, leaseMs),
    inUse: () => inUse(workerId),
  });
}

async function isAlive(owner: Owner, path: string, leaseMs: number): Promise<boolean> {
  if (owner.host === hostname() && owner.boot === (await bootId())) {
    const started = await startOf(owner.pid);
    return started !== undefined && started === owner.started;
  }
  try {
    return (await stat(path)).mtimeMs > Date.now() - leaseMs;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return false;
    throw error;
  }
}

/** Start time of a live process; `undefined` when there is none. Field 22 of /proc/<pid>/stat, see proc(5). */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
  } catch (error) {
    if (hasCode(error, "ENOENT") && process.platform === "linux") return undefined;
    return isRunning(pid) ? "unknown" : undefined;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasCode(error, "EPERM");
  }
}

async function bootId(): Promise<string> {
  try {
    return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  } catch {
    // Only Linux tells; elsewhere a pid of before a reboot may be taken for a live one.
    return "";
  }
}

function inUse(workerId: string): LongshoreError {
  return new LongshoreError(
    "WORKER_ID_IN_USE",
    `Another process works as "${workerId}" on this jobs directory; give each worker an id of its own.`,
    { details: { workerId } },
  );
}
