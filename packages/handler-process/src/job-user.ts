import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { LongshoreError, type JobUser } from "@longshore/core";

/**
 * The numeric user in `runtime.user`: `uid` or `uid:gid`.
 *
 * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` for anything else, or when the worker is not root
 */
export function jobUser(user: string | undefined): JobUser | undefined {
  if (user === undefined) return undefined;
  const [, uid, gid = uid] = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(user) ?? [];
  // 2^32 - 1 means "leave it as it is" to the kernel: the job would stay root.
  const isId = (id: string | undefined): boolean => id !== undefined && Number(id) < 0xffff_ffff;
  if (!isId(uid) || !isId(gid)) {
    throw refused(`runtime.user must be a number, or two like 1000:1000; got "${user}".`);
  }
  if (process.getuid?.() !== 0) {
    throw refused("Only a worker that runs as root can run a job as another user.");
  }
  return { uid: Number(uid), gid: Number(gid) };
}

/**
 * Makes sure that the user can reach the work directory, before the job fails for a reason that is hard to see.
 *
 * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED`
 */
export async function assertReachable(workDir: string, { uid, gid }: JobUser): Promise<void> {
  if (uid === 0) return;
  for (let path = dirname(workDir); ; path = dirname(path)) {
    const { mode, uid: owner, gid: group } = await stat(path);
    const shift = owner === uid ? 6 : group === gid ? 3 : 0;
    if (((mode >> shift) & 1) === 0) {
      throw refused(
        `The user ${uid} cannot enter "${path}", above the work directory; chmod o+x it, or move the worker's work_dir.`,
      );
    }
    if (path === dirname(path)) return;
  }
}

function refused(message: string): LongshoreError {
  return new LongshoreError("RUNTIME_NOT_SUPPORTED", message, { phase: "validation" });
}
