import { createHash } from "node:crypto";
import { link, mkdir, open, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { ProcessIdentity } from "@longshore/core";
import { hasCode } from "@longshore/core/errors";
import { syncDirectory } from "@longshore/core/files";
import { z } from "zod";
import { isAlive } from "../store/process-identity.ts";

/** That a process mounts something, or has, or is about to unmount it. */
export interface MountRecord {
  readonly target: string;
  readonly owner: ProcessIdentity;
}

const schema = z.object({
  target: z.string().startsWith("/"),
  owner: z.object({
    pid: z.int().positive(),
    startTime: z.string(),
    bootId: z.string(),
  }),
});

/** Records in a directory, a file each, named after its target. */
export interface MountRecordFiles {
  /** Durable when it resolves; `false`: the target has a record already. */
  add(record: MountRecord): Promise<boolean>;
  remove(target: string): Promise<void>;
  read(target: string): Promise<MountRecord | undefined>;
  list(): Promise<MountRecord[]>;
  /** Deletes what processes left that died while they were writing. */
  removeDrafts(): Promise<void>;
}

/** Writing takes milliseconds. */
const abandonedMs = 10_000;

export function mountRecordFiles(directory: string): MountRecordFiles {
  const fileOf = (target: string): string =>
    join(directory, `${createHash("sha256").update(target).digest("hex")}.json`);

  const readRecord = async (file: string): Promise<MountRecord | undefined> => {
    try {
      return schema.parse(JSON.parse(await readFile(file, "utf8")));
    } catch {
      // Removed meanwhile, or not ours: records are complete from the moment they have their name.
      return undefined;
    }
  };

  return {
    async add(record) {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const file = fileOf(record.target);
      const draft = `${file}.${record.owner.pid}.new`;
      try {
        await writeDurably(draft, JSON.stringify(record));
        // Unlike a rename, it does not replace the record of somebody else.
        await link(draft, file);
      } catch (error) {
        if (hasCode(error, "EEXIST")) return false;
        throw error;
      } finally {
        await rm(draft, { force: true });
      }
      await syncDirectory(directory);
      return true;
    },
    remove: (target) => rm(fileOf(target), { force: true }),
    read: (target) => readRecord(fileOf(target)),
    async list() {
      const names = await readdir(directory).catch(() => []);
      const files = names.filter((name) => name.endsWith(".json"));
      const records = await Promise.all(files.map((name) => readRecord(join(directory, name))));
      return records.filter((record) => record !== undefined);
    },
    async removeDrafts() {
      const names = await readdir(directory).catch(() => []);
      for (const name of names) {
        const [, pid] = /\.json\.(\d+)\.new$/.exec(name) ?? [];
        if (pid === undefined || Number(pid) === process.pid) continue;
        const path = join(directory, name);
        const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
        const isLeft = !isAlive({ pid: Number(pid), started: "" });
        if (isLeft || Date.now() - mtimeMs > abandonedMs) {
          await rm(path, { force: true });
        }
      }
    },
  };
}

async function writeDurably(file: string, text: string): Promise<void> {
  const handle = await open(file, "w", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
