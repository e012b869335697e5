import {
  isTerminal,
  jobStates,
  type EventBus,
  type JobEventLog,
  type JobState,
  type Worker,
} from "@longshore/core";
import type { JobDesk } from "../api-context.ts";
import { cancellation } from "./cancellation.ts";
import { jobBook, type JobBook } from "./job-book.ts";
import { jobClock } from "./job-clock.ts";
import { toEntry, type JobEntry } from "./job-entry.ts";
import { jobQueue } from "./job-queue.ts";
import { jobSteps } from "./job-steps.ts";
import { leasing, type Leasing } from "./leasing.ts";
import type { MasterOptions, MasterSettings } from "./master-options.ts";
import { polls, type Polls } from "./polls.ts";
import { submission } from "./submission.ts";
import { workerSessions, type WorkerSessions } from "./worker-sessions.ts";

export interface MasterJobsOptions {
  readonly options: MasterOptions;
  readonly settings: MasterSettings;
  readonly log: JobEventLog;
  readonly bus: EventBus;
}

/** Everything a master does with its jobs; what it serves are views of it. */
export interface MasterJobs extends AsyncDisposable {
  readonly book: JobBook;
  readonly sessions: WorkerSessions;
  readonly leasing: Leasing;
  readonly polls: Polls;
  readonly desk: JobDesk;
}

const unfinished: readonly JobState[] = jobStates.filter((state) => !isTerminal(state));

/** Finds the jobs in the store that have not ended, and goes on with them. */
export async function openMasterJobs(jobsOptions: MasterJobsOptions): Promise<MasterJobs> {
  const { options, settings, log, bus } = jobsOptions;
  const { store, policy } = options;
  const { id: masterId, graceMs, maxJobs, logger } = settings;
  const now = Date.now;
  const book = jobBook();
  const queue = jobQueue(now);
  const sessions = workerSessions({ maxWorkers: settings.maxWorkers, now });
  const onGone = (entry: JobEntry): void => {
    clock.stop(entry);
    queue.remove(entry);
    book.remove(entry);
  };
  const steps = jobSteps({ store, log, bus, logger, now, onGone });
  const clock = jobClock({ queue, steps, logger, now, graceMs });
  const leases = leasing({ masterId, store, book, queue, steps, clock, now, onGone });
  const waiting = polls({ book, queue, leasing: leases, sessions });
  const cancel: Worker["cancel"] = cancellation({ store, book, queue, steps, polls: waiting });
  const { checkDocument, submitDocument } = submission({
    masterId,
    store,
    policy,
    admission: options.admission,
    verifySignature: options.verifySignature,
    book,
    steps,
    clock,
    maxJobs,
    now,
  });

  async function load(): Promise<void> {
    let cursor: string | undefined;
    do {
      const page = await store.list({ states: unfinished, order: "oldest", limit: 500, cursor });
      for (const record of page.records) {
        const entry = toEntry(record, now(), graceMs);
        book.add(entry);
        if (entry.state === "cancelling") waiting.noteCancel(entry);
        clock.look(entry);
      }
      cursor = page.nextCursor;
    } while (cursor !== undefined);
  }

  await load();
  return {
    book,
    sessions,
    leasing: leases,
    polls: waiting,
    desk: { checkDocument, submitDocument, cancel },
    async [Symbol.asyncDispose]() {
      const entries = [...book.values()];
      for (const entry of entries) clock.stop(entry);
      // What was begun is written; nothing new begins, because nobody can ask any more.
      await Promise.all(entries.map(({ turn }) => turn));
      for (const entry of entries) clock.stop(entry);
    },
  };
}
