import { rename, rmdir, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { LongshoreError } from "@longshore/core";
import { formatClaimName, parseClaimName, type ClaimName } from "./claim-name.ts";
import { hasCode } from "./fs-error.ts";
import { namesIn } from "./inbox-watch.ts";
import type { Layout } from "./layout.ts";
import { isOwnerAlive } from "./owner-lock.ts";

/** A message that is this worker's: a file in its own claim directory. */
export interface Claim extends ClaimName {
  /** The file's name in the claim directory */
  readonly leaseId: string;
  readonly path: string;
  /** Job in it, as far as it can be told without a full check */
  jobId: string | undefined;
}

/**
 * Claims files by renaming them into the worker's own directory. The rename is the lock: of two workers that want the
 * same file one gets `ENOENT`.
 */
export interface Claims {
  readonly directory: string;
  /** `undefined` when somebody else was faster. */
  claim(from: string, as: ClaimName): Promise<Claim | undefined>;
  /** What an earlier process of this worker left. */
  left(): Promise<readonly Claim[]>;
  /** Own claims that nobody here works on: they could be neither delivered nor put aside, e.g. for want of disk. */
  forgotten(held: ReadonlyMap<string, Claim>): Promise<readonly Claim[]>;
  /** Claims what dead workers left, each with its attempt one higher. */
  takeOver(): Promise<readonly Claim[]>;
  /** Renews the lease. @throws {LongshoreError} `LEASE_LOST` */
  touch(claim: Claim, at?: Date): Promise<void>;
  /** Puts a message back for any worker, to be taken at or after `at`. @throws {LongshoreError} `LEASE_LOST` */
  giveBack(claim: Claim, attempt: number, at: Date): Promise<void>;
}

export function openClaims(layout: Layout, workerId: string, leaseMs: number): Claims {
  const directory = join(layout.claimed, workerId);

  async function claim(from: string, as: ClaimName): Promise<Claim | undefined> {
    const leaseId = formatClaimName(as);
    const path = join(directory, leaseId);
    try {
      await rename(from, path);
    } catch (error) {
      if (hasCode(error, "ENOENT")) return undefined;
      throw error;
    }
    const claimed: Claim = { ...as, leaseId, path, jobId: undefined };
    await touch(claimed);
    return claimed;
  }

  async function touch({ path, name }: Claim, at = new Date()): Promise<void> {
    try {
      await utimes(path, at, at);
    } catch (error) {
      if (hasCode(error, "ENOENT")) throw leaseLost(name);
      // A link may have been claimed; it has no lease to renew and is refused anyway.
      if (!hasCode(error, "ELOOP", "EACCES", "EPERM")) throw error;
    }
  }

  async function takeOverFrom(worker: string): Promise<readonly Claim[]> {
    const other = join(layout.claimed, worker);
    const names = await namesIn(other);
    if (await isOwnerAlive(other, leaseMs)) return [];
    const taken: Claim[] = [];
    for (const fileName of names) {
      const parsed = parseClaimName(fileName);
      if (parsed === undefined || !(await isStale(join(other, fileName)))) continue;
      const { attempt, name } = parsed;
      const mine = await claim(join(other, fileName), { attempt: attempt + 1, name });
      if (mine !== undefined) taken.push(mine);
    }
    if (names.length === 0) {
      await rmdir(other).catch(() => {
        // Not empty any more, or gone already: nothing to tidy.
      });
    }
    return taken;
  }

  async function isStale(path: string): Promise<boolean> {
    try {
      return (await stat(path)).mtimeMs <= Date.now() - leaseMs;
    } catch (error) {
      if (hasCode(error, "ENOENT")) return false;
      throw error;
    }
  }

  async function left(): Promise<readonly Claim[]> {
    return (await namesIn(directory)).flatMap((leaseId) => {
      const parsed = parseClaimName(leaseId);
      return parsed === undefined
        ? []
        : [{ ...parsed, leaseId, path: join(directory, leaseId), jobId: undefined }];
    });
  }

  return {
    directory,
    claim,
    touch,
    left,
    async forgotten(held) {
      const forgotten = [];
      for (const mine of await left()) {
        // A claim that is being delivered was touched a moment ago.
        if (held.has(mine.leaseId) || !(await isStale(mine.path))) continue;
        await touch(mine);
        forgotten.push(mine);
      }
      return forgotten;
    },
    async takeOver() {
      const others = (await namesIn(layout.claimed)).filter((name) => name !== workerId);
      const taken = [];
      for (const other of others) taken.push(...(await takeOverFrom(other)));
      return taken;
    },
    async giveBack(claimed, attempt, at) {
      await touch(claimed, at);
      const fileName = formatClaimName({ attempt, name: claimed.name });
      try {
        await rename(claimed.path, join(layout.returned, fileName));
      } catch (error) {
        if (hasCode(error, "ENOENT")) throw leaseLost(claimed.name);
        throw error;
      }
    },
  };
}

export function leaseLost(name: string): LongshoreError {
  return new LongshoreError("LEASE_LOST", `The job file ${name} is not this worker's any more.`, {
    details: { name },
  });
}
