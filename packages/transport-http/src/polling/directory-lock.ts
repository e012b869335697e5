import { randomUUID } from "node:crypto";
import { link, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hasCode, isProcessAlive, LongshoreError, ownProcessIdentity } from "@longshore/core";
import { z } from "zod";

const ownerSchema = z.object({
  pid: z.int().min(1),
  startTime: z.string(),
  bootId: z.string(),
  instance: z.string(),
});
type Owner = z.infer<typeof ownerSchema>;

const fileName = "owner.json";

/**
 * Makes a directory this process's own until it is disposed, or the process is gone.
 *
 * @throws {LongshoreError} `WORKER_ID_IN_USE` when it is a live process's
 */
export async function lockDirectory(directory: string): Promise<AsyncDisposable> {
  const path = join(directory, fileName);
  const owner: Owner = { ...(await ownIdentity()), instance: randomUUID() };
  const temporary = `${path}.${owner.instance}`;
  await writeFile(temporary, JSON.stringify(owner), { flag: "wx", mode: 0o600 });
  try {
    // A second name cannot overwrite the file of another owner.
    while (!(await isLinked(temporary, path))) {
      const seen = await readOwner(path);
      if (seen !== undefined && (await isAlive(seen))) throw inUse(directory, seen.pid);
      await setAside(path, seen, directory);
    }
  } finally {
    await rm(temporary, { force: true });
  }
  return {
    async [Symbol.asyncDispose]() {
      const current = await readOwner(path);
      if (current?.instance === owner.instance) await rm(path, { force: true });
    },
  };
}

/** Takes a dead owner's file away, and gives it back when a live one's came between. */
async function setAside(path: string, seen: Owner | undefined, directory: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return;
    throw error;
  }
  const taken = await readOwner(aside);
  const isTheOneSeen = taken?.instance === seen?.instance;
  if (!isTheOneSeen) await isLinked(aside, path);
  await rm(aside, { force: true });
  if (!isTheOneSeen) throw inUse(directory, taken?.pid);
}

async function isLinked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (hasCode(error, "EEXIST")) return false;
    throw error;
  }
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

async function ownIdentity(): Promise<Omit<Owner, "instance">> {
  try {
    return await ownProcessIdentity();
  } catch {
    // Only Linux tells when a process started; elsewhere its number has to do.
    return { pid: process.pid, startTime: "", bootId: "" };
  }
}

async function isAlive(owner: Owner): Promise<boolean> {
  if (owner.bootId !== "") return isProcessAlive(owner);
  try {
    process.kill(owner.pid, 0);
    return true;
  } catch (error) {
    return hasCode(error, "EPERM");
  }
}

function inUse(directory: string, pid: number | undefined): LongshoreError {
  return new LongshoreError(
    "WORKER_ID_IN_USE",
    `The process ${pid ?? "of another worker"} keeps its answers in ${directory}; give each worker a directory of its own.`,
    { details: { directory } },
  );
}
