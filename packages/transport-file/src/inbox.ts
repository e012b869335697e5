import { join } from "node:path";
import { toJobError, type JobError, type JobDelivery } from "@longshore/core";
import { parseClaimName, shortenName } from "./claim-name.ts";
import type { Claim, Claims } from "./claims.ts";
import type { DurableFiles } from "./durable-files.ts";
import type { ResolvedOptions } from "./file-transport-options.ts";
import type { FileCalls } from "./file-calls.ts";
import { inOrder } from "./inbox-order.ts";
import { namesIn } from "./inbox-watch.ts";
import { readJobFile, type JobFile } from "./job-file.ts";
import { peek, type JobPeek } from "./job-peek.ts";
import { contentTypeOf, isJobFileName, type Layout } from "./layout.ts";
import { createStability } from "./stability.ts";
import type { TaskQueue } from "./task-queue.ts";
import { createTimers } from "./timers.ts";

export interface InboxOptions {
  readonly options: ResolvedOptions;
  readonly layout: Layout;
  readonly calls: FileCalls;
  readonly files: DurableFiles;
  readonly claims: Claims;
  readonly queue: TaskQueue;
  /** The message is this worker's; resolves when it was taken or refused */
  deliver(claim: Claim, delivery: JobDelivery): Promise<void>;
  /** The file is none that may be read */
  refuse(claim: Claim, error: JobError): Promise<void>;
}

/** Finds job files, claims them, and delivers them once nobody writes to them any more. */
export interface Inbox {
  /** Looks at a name in the jobs directory. */
  consider(name: string): void;
  /** Looks at a name among the messages that were given back. */
  considerReturned(fileName: string): void;
  /** Looks at every file in both directories, in the order in which they are to be taken. */
  scan(): Promise<void>;
  /** Delivers a claimed file that is not in memory. */
  deliverAgain(claim: Claim): Promise<void>;
  close(): void;
}

export function openInbox(inboxOptions: InboxOptions): Inbox {
  const { options, layout, calls, files, claims, queue, deliver, refuse } = inboxOptions;
  const { stabilityMs, usePolling, maxPayloadBytes: maxBytes } = options;
  const stability = createStability({ stabilityMs, isClockShared: !usePolling });
  const timers = createTimers(options.leaseMs);

  function consider(name: string): void {
    if (isJobFileName(name)) void queue.add(name, () => take(name));
  }

  async function take(name: string): Promise<void> {
    const path = join(layout.jobs, name);
    let file: JobFile | undefined;
    let facts: JobPeek | undefined;
    let refusal: unknown;
    try {
      file = await readJobFile(path, { calls, maxBytes });
      if (file === undefined) {
        stability.forget(name);
        return;
      }
      const isJson = name.endsWith(".json");
      facts = peek(file.body, isJson);
      // A JSON document says itself where it ends; of everything else only time tells.
      const isComplete = isJson && facts !== undefined;
      const waitMs = isComplete ? 0 : stability.missingMs(name, file);
      if (waitMs > 0) {
        timers.later(name, waitMs, () => {
          consider(name);
        });
        return;
      }
    } catch (error) {
      refusal = error;
    }
    stability.forget(name);
    const claim = await claims.claim(path, { attempt: 1, name: shortenName(name) });
    if (claim === undefined) return;
    await work(claim, async () => {
      if (file === undefined) await reject(claim, refusal);
      else await handOver(claim, file, facts);
    });
  }

  /** A claim on which the work failed is not kept from being found again. */
  async function work(claim: Claim, task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      claims.letGo(claim.leaseId);
      throw error;
    }
  }

  function considerReturned(fileName: string): void {
    void queue.add(returnedKey(fileName), () => takeReturned(fileName));
  }

  async function takeReturned(fileName: string): Promise<void> {
    const as = parseClaimName(fileName);
    if (as === undefined) return;
    const path = join(layout.returned, fileName);
    const dueAtMs = await claims.dueAt(path);
    if (dueAtMs === undefined) return;
    const waitMs = dueAtMs - Date.now();
    if (waitMs > 0) {
      timers.later(returnedKey(fileName), waitMs, () => {
        considerReturned(fileName);
      });
      return;
    }
    const claim = await claims.claim(path, as);
    if (claim !== undefined) await work(claim, () => read(claim));
  }

  async function read(claim: Claim): Promise<void> {
    let file: JobFile | undefined;
    try {
      file = await readJobFile(claim.path, { calls, maxBytes });
    } catch (error) {
      await reject(claim, error);
      return;
    }
    if (file === undefined) claims.letGo(claim.leaseId);
    else await handOver(claim, file, peek(file.body, claim.name.endsWith(".json")));
  }

  async function handOver(
    claim: Claim,
    { body, isForeign }: JobFile,
    facts: JobPeek | undefined,
  ): Promise<void> {
    const { leaseId, name, attempt, path } = claim;
    if (isForeign) await files.write(path, body);
    await deliver(
      { ...claim, jobId: facts?.jobId },
      {
        leaseId,
        name,
        attempt,
        body,
        contentType: contentTypeOf(name),
        subject: options.subject,
      },
    );
  }

  async function reject(claim: Claim, thrown: unknown): Promise<void> {
    const error = toJobError(thrown, "IO_ERROR");
    options.logger.warn({ name: claim.name, code: error.code }, "job file refused");
    await refuse(claim, error);
  }

  return {
    consider,
    considerReturned,
    async scan() {
      const names = (await namesIn(layout.jobs)).filter(
        (name) => isJobFileName(name) && !queue.has(name),
      );
      const ordered = await inOrder(names, { directory: layout.jobs, calls, maxBytes });
      for (const name of ordered) consider(name);
      for (const fileName of await namesIn(layout.returned)) considerReturned(fileName);
    },
    deliverAgain: (claim) =>
      queue.add(`claimed/${claim.leaseId}`, () => work(claim, () => read(claim))),
    close() {
      timers.clear();
    },
  };
}

function returnedKey(fileName: string): string {
  return `returned/${fileName}`;
}
