import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { startTimeOf } from "@longshore/core";
import { z } from "zod";

/**
 * What a driver notes before it makes a sandbox: enough to take it down when nobody knows it any more.
 */
export interface SandboxRecord {
  readonly id: string;
  readonly directory: string;
  readonly cgroup?: string | undefined;
  /** The program that made it, which may be another one that still runs */
  readonly owner: ProcessIdentity;
}

/** A process as it can be told apart after its number was given to another one. */
interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks between the start of the machine and its own */
  readonly startTime: string;
}

const recordSchema = z.object({
  id: z.string(),
  directory: z.string(),
  cgroup: z.string().optional(),
  owner: z.object({ pid: z.int(), startTime: z.string() }),
});

/** It stays the same as long as this program runs. */
let ownStartTime: string | undefined;

/** Whether a record is that of another program that still runs. */
export async function isOthers({ owner }: SandboxRecord): Promise<boolean> {
  if (owner.pid === process.pid) return false;
  return (await startTimeOf(owner.pid)) === owner.startTime;
}

export async function writeSandboxRecord(
  stateDirectory: string,
  record: Omit<SandboxRecord, "owner">,
): Promise<void> {
  ownStartTime ??= (await startTimeOf(process.pid)) ?? "";
  const owner: ProcessIdentity = { pid: process.pid, startTime: ownStartTime };
  const directory = join(stateDirectory, "sandboxes");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  replaceFile(join(directory, record.id), JSON.stringify({ ...record, owner }));
}

export function removeSandboxRecord(stateDirectory: string, id: string): void {
  rmSync(join(stateDirectory, "sandboxes", id), { force: true });
}

/** All that are noted; what cannot be read is none. */
export async function readSandboxRecords(
  stateDirectory: string,
): Promise<readonly SandboxRecord[]> {
  const directory = join(stateDirectory, "sandboxes");
  const names = await readdir(directory).catch(() => []);
  const records = await Promise.all(
    names.map(async (name) => parseRecord(await readFile(join(directory, name), "utf8"), name)),
  );
  return records.filter((record) => record !== undefined);
}

function parseRecord(text: string, name: string): SandboxRecord | undefined {
  try {
    const record = recordSchema.parse(JSON.parse(text));
    return record.id === basename(name) ? record : undefined;
  } catch {
    // A part that was never renamed.
    return undefined;
  }
}

/**
 * Readers see the old content or the new, also when this program is killed meanwhile. It need not be on the disk: after the
 * machine was down there is nothing left that it could speak of. Such files lie in memory, so they are written at once.
 */
export function replaceFile(path: string, content: string): void {
  const part = `${path}.part`;
  writeFileSync(part, content, { mode: 0o600 });
  renameSync(part, path);
}
