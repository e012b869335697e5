import { randomUUID } from "node:crypto";
import { link, readFile, rename, rm, rmdir, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { hasCode, isLongshoreError, LongshoreError } from "@longshore/core";
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

const fileName = ".owner";

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
  const path = join(directory, fileName);
  const owner: Owner = {
    pid: process.pid,
    started: (await startOf(process.pid)) ?? "",
    host: hostname(),
    boot: await bootId(),
    instance: randomUUID(),
  };
  const temporary = join(directory, `${fileName}.${owner.instance}`);
  await writeFile(temporary, JSON.stringify(owner), { flag: "wx" });
  try {
    while (!(await tryLink(temporary, path))) {
      const seen = await readOwner(path);
      if (await isAlive(seen, path, leaseMs)) throw inUse(workerId);
      await setAside(path, seen, workerId);
    }
  } finally {
    await rm(temporary, { force: true });
  }
  return {
    async touch() {
      const now = new Date();
      await utimes(path, now, now);
    },
    async [Symbol.asyncDispose]() {
      const current = await readOwner(path);
      if (current?.instance === owner.instance) await rm(path, { force: true });
    },
  };
}

/**
 * Whether the owner of a claim directory may still be at work. On this host the process is looked up; another host's is
 * believed to live while it touches its file.
 */
export async function isOwnerAlive(directory: string, leaseMs: number): Promise<boolean> {
  const path = join(directory, fileName);
  return isAlive(await readOwner(path), path, leaseMs);
}

async function isAlive(owner: Owner | undefined, path: string, leaseMs: number): Promise<boolean> {
  if (owner === undefined) return false;
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

/** Takes a claim directory away whose owner is dead, when nothing else is in it. */
export async function removeDeadOwner(
  directory: string,
  workerId: string,
  leaseMs: number,
): Promise<void> {
  const path = join(directory, fileName);
  try {
    const seen = await readOwner(path);
    if (await isAlive(seen, path, leaseMs)) return;
    await setAside(path, seen, workerId);
    await rmdir(directory);
  } catch (error) {
    // Somebody came to life under this id, or tidies up as well.
    const isUsed = hasCode(error, "ENOTEMPTY", "ENOENT") || isLongshoreError(error);
    if (!isUsed) throw error;
  }
}

async function tryLink(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (hasCode(error, "EEXIST")) return false;
    throw error;
  }
}

/** Takes a dead owner's file away, and gives it back when a live one's came between. */
async function setAside(path: string, seen: Owner | undefined, workerId: string): Promise<void> {
  const aside = `${path}.${randomUUID()}.old`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return;
    throw error;
  }
  const taken = await readOwner(aside);
  const isTheOneSeen = taken?.instance === seen?.instance;
  if (!isTheOneSeen) await tryLink(aside, path);
  await rm(aside, { force: true });
  if (!isTheOneSeen) throw inUse(workerId);
}

async function readOwner(path: string): Promise<Owner | undefined> {
  try {
    const parsed = ownerSchema.safeParse(JSON.parse(await readFile(path, "utf8")));
    return parsed.success ? parsed.data : undefined;
  } catch {
    // None, or none that can be read: nobody's.
    return undefined;
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
