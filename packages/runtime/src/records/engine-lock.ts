import { randomUUID } from "node:crypto";
import { link, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  hasCode,
  isProcessAlive,
  LongshoreError,
  ownProcessIdentity,
  type ProcessIdentity,
} from "@longshore/core";

/**
 * Makes this process the only engine of a directory, until the answer is disposed. The lock of a process that is gone is
 * taken over, by one of those who want it.
 *
 * @throws {LongshoreError} `STATE_CONFLICT` while another engine lives, be it in this process
 */
export async function lockEngine(directory: string): Promise<AsyncDisposable> {
  const path = join(directory, "lock");
  const own = join(directory, `.${randomUUID()}.tmp`);
  await writeFile(own, JSON.stringify(await ownProcessIdentity()), { mode: 0o600, flag: "wx" });
  try {
    await acquire(path, own, directory);
  } finally {
    await rm(own, { force: true });
  }
  return {
    async [Symbol.asyncDispose]() {
      await rm(path, { force: true });
    },
  };
}

/**
 * Puts `own` at the path, if nobody who lives is there. To replace a dead owner's file one must hold a second lock, on
 * that replacement: else two could each find the dead one and the slower would remove the faster one's lock.
 */
async function acquire(path: string, own: string, directory: string): Promise<void> {
  for (;;) {
    try {
      await link(own, path);
      return;
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw error;
    }
    const owner = await readOwner(path);
    if (owner === "gone") continue;
    if (owner !== undefined && (await isProcessAlive(owner.identity))) {
      throw new LongshoreError(
        "STATE_CONFLICT",
        `The process ${owner.identity.pid} runs an engine on ${directory}; one directory serves one engine.`,
        { details: { directory, pid: owner.identity.pid } },
      );
    }
    const takeover = `${path}.takeover`;
    await acquire(takeover, own, directory);
    try {
      const now = await readOwner(path);
      if (now === "gone" || now?.text !== owner?.text) continue;
      const fresh = `${own}.lock`;
      await link(own, fresh);
      await rename(fresh, path);
      // Renaming one name of a file over another name of it does nothing, and leaves both.
      await rm(fresh, { force: true });
      return;
    } finally {
      await rm(takeover, { force: true });
    }
  }
}

/** `undefined` for a file that says nothing sensible: it was cut off by a crash of the machine. */
async function readOwner(
  path: string,
): Promise<{ readonly text: string; readonly identity: ProcessIdentity } | "gone" | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return "gone";
    throw error;
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return undefined;
    const { pid, startTime, bootId } = { pid: 0, startTime: "", bootId: "", ...value };
    return typeof pid === "number" && typeof startTime === "string" && typeof bootId === "string"
      ? { text, identity: { pid, startTime, bootId } }
      : undefined;
  } catch {
    // Not JSON: the same as no owner.
    return undefined;
  }
}
