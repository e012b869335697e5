import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isProcessAlive, ownProcessIdentity } from "@longshore/core";
import { z } from "zod";
import { mountedAt } from "./mounted-at.ts";
import { unmount } from "./unmount.ts";

const identity = z.object({
  pid: z.int().positive(),
  startTime: z.string(),
  bootId: z.string(),
});

const schema = z.object({
  target: z.string().startsWith("/"),
  /** The process that started it */
  owner: identity,
});

type NydusdRecord = z.infer<typeof schema>;

const fileName = "record.json";

/** What `/proc/mounts` shows as the source of a mount of nydusd. */
export const nydusdMountName = "rafs";

/** Where a daemon's configuration lies in its working directory. */
export function nydusdConfigPath(directory: string): string {
  return join(directory, "config.json");
}

/** The argument by which a daemon is known. */
export function nydusdConfigFlag(directory: string): string {
  return `--config=${nydusdConfigPath(directory)}`;
}

/** Writes down in its working directory what a nydusd is for, before it is started. */
export async function recordNydusd(directory: string, target: string): Promise<void> {
  const record: NydusdRecord = { target, owner: await ownProcessIdentity() };
  const draft = join(directory, `${fileName}.new`);
  await writeFile(draft, JSON.stringify(record), { mode: 0o600, flush: true });
  await rename(draft, join(directory, fileName));
}

/**
 * Ends what processes left that no longer run: unmounts, ends the daemon, deletes its working directory. Returns the targets.
 *
 * @param root holds the working directories, and nothing else
 */
export async function recoverNydusd(root: string): Promise<readonly string[]> {
  const targets: string[] = [];
  for (const name of await readdir(root).catch(() => [])) {
    const directory = join(root, name);
    const record = await readRecord(directory);
    if (record !== undefined) {
      if (await isProcessAlive(record.owner)) continue;
      if ((await mountedAt(record.target))?.source === nydusdMountName) {
        await unmount(record.target, { how: "force" });
        targets.push(record.target);
      }
      // Without its mount it ends by itself, unless it is still starting, or hangs.
      for (const pid of await processesWith(nydusdConfigFlag(directory))) kill(pid);
    }
    await rm(directory, { recursive: true, force: true });
  }
  return targets;
}

/** Processes that were started with an argument. */
async function processesWith(argument: string): Promise<readonly number[]> {
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const text = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
    if (text.split("\0").includes(argument)) found.push(Number(name));
  }
  return found;
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}

async function readRecord(directory: string): Promise<NydusdRecord | undefined> {
  try {
    return schema.parse(JSON.parse(await readFile(join(directory, fileName), "utf8")));
  } catch {
    // Not written yet when its process was killed: then nothing was started.
    return undefined;
  }
}
