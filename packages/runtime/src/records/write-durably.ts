import { randomUUID } from "node:crypto";
import { closeSync, fdatasync, fsync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const syncData = promisify(fdatasync);
const syncAll = promisify(fsync);

/**
 * Puts a file in place of an older one: whoever reads sees the one or the other, whole, also after a power cut. Only its
 * owner may read it.
 */
export async function writeDurably(path: string, content: string): Promise<void> {
  const fresh = join(dirname(path), `.${randomUUID()}.tmp`);
  try {
    // Only what waits for the disk is asked of another thread: asking takes longer than writing to the kernel's memory.
    const file = openSync(fresh, "wx", 0o600);
    try {
      writeFileSync(file, content);
      await syncData(file);
    } finally {
      closeSync(file);
    }
    renameSync(fresh, path);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw error;
  }
}

/** Brings the names in a directory to the disk. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = openSync(path, "r");
  try {
    await syncAll(handle);
  } finally {
    closeSync(handle);
  }
}
