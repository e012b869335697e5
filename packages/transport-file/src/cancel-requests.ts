import { lstat, rm } from "node:fs/promises";
import { join } from "node:path";
import { hasCode, isJobId } from "@longshore/core";
import { namesIn } from "./inbox-watch.ts";

/** A request that nobody took is removed after this time */
const staleMs = 3_600_000;

export interface CancelRequestsOptions {
  readonly directory: string;
  /** Whether this worker has the job */
  isHere(jobId: string): boolean;
  cancel(jobId: string): void;
}

/** Requests to end a job: a file with the job's id as its name. */
export interface CancelRequests {
  /** Hands a request on when the job is here; keeps it in mind until the job may come. */
  consider(name: string): Promise<void>;
  /** A job came that a request may have waited for. */
  arrived(jobId: string): Promise<void>;
  scan(): Promise<void>;
}

export function cancelRequests(options: CancelRequestsOptions): CancelRequests {
  const { directory, isHere, cancel } = options;
  const waiting = new Set<string>();

  async function consider(name: string): Promise<void> {
    if (!isJobId(name)) return;
    const path = join(directory, name);
    const askedAtMs = await modifiedAt(path);
    const isStale = askedAtMs !== undefined && askedAtMs < Date.now() - staleMs;
    if (askedAtMs === undefined || isStale || isHere(name)) {
      waiting.delete(name);
    } else {
      waiting.add(name);
    }
    if (askedAtMs === undefined) return;
    if (isHere(name)) {
      await rm(path, { force: true });
      cancel(name);
    } else if (isStale) {
      await rm(path, { force: true });
    }
  }

  return {
    consider,
    async arrived(jobId) {
      if (waiting.has(jobId)) await consider(jobId);
    },
    async scan() {
      for (const name of await namesIn(directory)) await consider(name);
    },
  };
}

async function modifiedAt(path: string): Promise<number | undefined> {
  try {
    return (await lstat(path)).mtimeMs;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}
