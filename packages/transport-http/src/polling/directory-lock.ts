import { randomUUID } from "node:crypto";
import { join } from "node:path";
import {
  hasCode,
  isProcessAlive,
  LongshoreError,
  ownerFile,
  ownProcessIdentity,
} from "@longshore/core";
import { z } from "zod";

const ownerSchema = z.object({
  pid: z.int().min(1),
  startTime: z.string(),
  bootId: z.string(),
  instance: z.string(),
});
type Owner = z.infer<typeof ownerSchema>;

/**
 * Makes a directory this process's own until it is disposed, or the process is gone.
 *
 * @throws {LongshoreError} `WORKER_ID_IN_USE` when it is a live process's
 */
export async function lockDirectory(directory: string): Promise<AsyncDisposable> {
  const file = ownerFile({
    path: join(directory, "owner.json"),
    schema: ownerSchema,
    mode: 0o600,
    isAlive,
    inUse: (owner) => inUse(directory, owner?.pid),
  });
  return file.take({ ...(await ownIdentity()), instance: randomUUID() });
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
