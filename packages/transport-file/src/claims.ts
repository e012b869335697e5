import { join } from "node:path";
import { hasCode, LongshoreError } from "@longshore/core";
import { formatClaimName, parseClaimName, type ClaimName } from "./claim-name.ts";
import type { FileCalls } from "./file-calls.ts";
import { namesIn } from "./inbox-watch.ts";
import { claimDirectory, type Layout } from "./layout.ts";
import { isOwnerAlive, removeDeadOwner } from "./owner-lock.ts";

/** A message that is this worker's: a file in its own claim directory. */
export interface Claim extends ClaimName {
  /** The file's name in the claim directory */
  readonly leaseId: string;
  readonly path: string;
  /** Job in it, as far as it can be told without a full check; unknown before the file was read */
  readonly jobId?: string | undefined;
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
  /** Nobody here works on the claim any more: it is answered, or was not delivered. */
  letGo(leaseId: string): void;
  /** Own claims that were let go and are still there: they could not be delivered, e.g. for want of disk. */
  forgotten(): Promise<readonly Claim[]>;
  /** Claims what dead workers left, each with its attempt one higher. */
  takeOver(): Promise<readonly Claim[]>;
  /** From when on a message that was given back may be taken, by its path; `undefined` when it is gone. */
  dueAt(path: string): Promise<number | undefined>;
  /** Renews the lease. @throws {LongshoreError} `LEASE_LOST` */
  touch(claim: Claim, at?: Date): Promise<void>;
  /**
   * Puts a message back for any worker, to be taken at or after `at`. Returns its name among those.
   *
   * @throws {LongshoreError} `LEASE_LOST`
   */
  giveBack(claim: Claim, attempt: number, at: Date): Promise<string>;
}

export interface ClaimsOptions {
  readonly layout: Layout;
  readonly calls: FileCalls;
  readonly workerId: string;
  readonly leaseMs: number;
}

export function openClaims({ layout, calls, workerId, leaseMs }: ClaimsOptions): Claims {
  const directory = claimDirectory(layout, workerId);
  const inHand = new Set<string>();

  async function claim(from: string, as: ClaimName): Promise<Claim | undefined> {
    const leaseId = formatClaimName(as);
    const path = join(directory, leaseId);
    inHand.add(leaseId);
    try {
      // Touched before it is claimed: it is never among the claims with a lease that has run out.
      await setTime(from, new Date());
      await calls.rename(from, path);
    } catch (error) {
      inHand.delete(leaseId);
      if (hasCode(error, "ENOENT")) return undefined;
      throw error;
    }
    return { ...as, leaseId, path };
  }

  async function setTime(path: string, at: Date): Promise<void> {
    try {
      await calls.utimes(path, at);
    } catch (error) {
      // Another user's file; it is copied when it can be read, and refused when not.
      if (!hasCode(error, "EACCES", "EPERM")) throw error;
    }
  }

  async function touch({ path, name }: Claim, at = new Date()): Promise<void> {
    try {
      await setTime(path, at);
    } catch (error) {
      if (hasCode(error, "ENOENT")) throw leaseLost(name);
      throw error;
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
    if (names.every((fileName) => parseClaimName(fileName) === undefined)) {
      await removeDeadOwner(other, worker, leaseMs);
    }
    return taken;
  }

  async function isStale(path: string): Promise<boolean> {
    const touchedAtMs = await modifiedAt(path);
    return touchedAtMs !== undefined && touchedAtMs <= Date.now() - leaseMs;
  }

  async function modifiedAt(path: string): Promise<number | undefined> {
    try {
      return (await calls.lstat(path)).mtimeMs;
    } catch (error) {
      if (hasCode(error, "ENOENT")) return undefined;
      throw error;
    }
  }

  async function own(): Promise<readonly Claim[]> {
    return (await namesIn(directory)).flatMap((leaseId) => {
      const parsed = parseClaimName(leaseId);
      return parsed === undefined ? [] : [{ ...parsed, leaseId, path: join(directory, leaseId) }];
    });
  }

  return {
    directory,
    claim,
    touch,
    dueAt: modifiedAt,
    letGo(leaseId) {
      inHand.delete(leaseId);
    },
    async left() {
      const left = await own();
      for (const { leaseId } of left) inHand.add(leaseId);
      return left;
    },
    async forgotten() {
      const forgotten = [];
      for (const mine of await own()) {
        if (inHand.has(mine.leaseId) || !(await isStale(mine.path))) continue;
        inHand.add(mine.leaseId);
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
        await calls.rename(claimed.path, join(layout.returned, fileName));
        return fileName;
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
