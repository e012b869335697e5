import { mkdir } from "node:fs/promises";
import { hasCode, type JobError, type LeaseSink } from "@longshore/core";
import { removeDrafts } from "@longshore/core/files";
import { cancelRequests } from "./cancel-requests.ts";
import { openClaims, type Claim, type Claims } from "./claims.ts";
import type { DurableFiles } from "./durable-files.ts";
import type { FileCalls } from "./file-calls.ts";
import type { ResolvedOptions } from "./file-transport-options.ts";
import type { HeldClaims } from "./held-claims.ts";
import { watchDirectory } from "./inbox-watch.ts";
import { openInbox } from "./inbox.ts";
import { makeLayout, type Layout } from "./layout.ts";
import { lockOwner, type OwnerLock } from "./owner-lock.ts";
import { taskQueue } from "./task-queue.ts";

export interface LeasingOptions {
  readonly options: ResolvedOptions;
  readonly layout: Layout;
  readonly calls: FileCalls;
  readonly files: DurableFiles;
  readonly held: HeldClaims;
  readonly sink: LeaseSink;
  readonly workerId: string;
  refuse(claim: Claim, error: JobError): Promise<void>;
  warn(error: unknown, message: string): void;
}

/** One worker's hold on a jobs directory: its id, its claims, and the watch for more. Disposing gives the id back. */
export interface Leasing extends AsyncDisposable {
  readonly claims: Claims;
  /** Resolves once what an earlier process of this worker left was delivered again. */
  start(): Promise<void>;
  /** A message was given back under this name. */
  considerReturned(fileName: string): void;
  /** Claims nothing further, and waits for the deliveries under way. Idempotent. */
  pause(): Promise<void>;
}

export function openLeasing(leasingOptions: LeasingOptions): Leasing {
  const { options, layout, calls, files, held, sink, workerId, refuse, warn } = leasingOptions;
  const { leaseMs, logger } = options;
  const claims = openClaims({ layout, calls, workerId, leaseMs });
  const queue = taskQueue({
    concurrency: options.prefetch,
    onError(error) {
      warn(error, "job file could not be handled");
    },
  });
  const cancels = cancelRequests({
    directory: layout.cancel,
    isHere: (jobId) => held.hasJob(jobId),
    cancel(jobId) {
      sink.cancel({ jobId, reason: "A cancel file was put into the jobs directory." });
    },
  });
  const inbox = openInbox({
    options,
    layout,
    calls,
    files,
    claims,
    queue,
    async refuse(claim, error) {
      await refuse(claim, error);
      claims.letGo(claim.leaseId);
    },
    async deliver(claim, delivery) {
      held.add(claim);
      await sink.deliver(delivery);
      if (claim.jobId !== undefined) await cancels.arrived(claim.jobId);
    },
  });
  let lock: OwnerLock | undefined;
  let watchers: readonly AsyncDisposable[] = [];
  let rescan: NodeJS.Timeout | undefined;
  let isPaused = false;
  let scanning: Promise<void> | undefined;

  async function watch(): Promise<void> {
    const { usePolling, pollIntervalMs } = options;
    const open = (directory: string, onName: (name: string) => void): Promise<AsyncDisposable> =>
      watchDirectory(directory, {
        usePolling,
        pollIntervalMs,
        onName,
        onError(error) {
          warn(error, "watching failed; the directory is still read now and then");
        },
      });
    watchers = await Promise.all([
      open(layout.jobs, inbox.consider),
      open(layout.returned, inbox.considerReturned),
      open(layout.cancel, (name) => {
        cancels.consider(name).catch((error: unknown) => {
          warn(error, "cancel request could not be read");
        });
      }),
    ]);
  }

  /** Looks at everything there is. One look at a time: a second would find the same. */
  function scan(): void {
    scanning ??= look()
      .catch((error: unknown) => {
        warn(error, "the jobs directory could not be read");
      })
      .finally(() => {
        scanning = undefined;
      });
  }

  async function look(): Promise<void> {
    if (isPaused) return;
    await cancels.scan();
    await inbox.scan();
    for (const claim of await claims.forgotten()) {
      logger.warn({ name: claim.name }, "job file was claimed and forgotten");
      void inbox.deliverAgain(claim);
    }
    if (isPaused) return;
    for (const claim of await claims.takeOver()) {
      logger.warn({ name: claim.name }, "job taken over from a dead worker");
      void inbox.deliverAgain(claim);
    }
  }

  async function takeWorkerId(): Promise<OwnerLock> {
    for (;;) {
      await mkdir(claims.directory, { recursive: true });
      try {
        return await lockOwner(claims.directory, workerId, leaseMs);
      } catch (error) {
        // Another worker has just tidied the directory away, as one that a dead worker left.
        if (!hasCode(error, "ENOENT")) throw error;
      }
    }
  }

  async function pause(): Promise<void> {
    isPaused = true;
    clearInterval(rescan);
    inbox.close();
    const open = watchers;
    watchers = [];
    for (const watcher of open) await watcher[Symbol.asyncDispose]();
    await queue.close();
    await scanning;
  }

  return {
    claims,
    pause,
    considerReturned: inbox.considerReturned,
    async start() {
      await makeLayout(layout);
      lock = await takeWorkerId();
      await removeDrafts(layout.results);
      await removeDrafts(layout.failed);
      const left = await claims.left();
      await Promise.all(left.map(inbox.deliverAgain));
      await watch();
      scan();
      rescan = setInterval(() => {
        lock?.touch().catch((error: unknown) => {
          warn(error, "owner file not touched");
        });
        scan();
      }, leaseMs / 3);
    },
    async [Symbol.asyncDispose]() {
      await pause();
      await lock?.[Symbol.asyncDispose]();
      lock = undefined;
    },
  };
}
