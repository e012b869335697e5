import { LongshoreError } from "../errors/longshore-error.ts";
import type { ActiveJob } from "../executor/active-job.ts";
import type { WireDocument } from "../job/codec.ts";
import type { JobDocument } from "../job/job-document.ts";
import { createJobDocument, type JobInput } from "../job/create-job-document.ts";
import { payloadDigest } from "../job/digest.ts";
import type { JobResult } from "../job/job-result.ts";
import { isTerminal } from "../job/job-state.ts";
import type { JobStore } from "../store/job-store.ts";
import type { WorkerTelemetry } from "../telemetry/worker-telemetry.ts";
import { raceAbort } from "./abort-race.ts";
import type { Cancel } from "./cancellation.ts";
import type { Intake } from "./intake.ts";
import type { JobBoard } from "./job-board.ts";
import { noSuchJob } from "./no-such-job.ts";
import { shutdownError } from "./shutdown-error.ts";
import type { JobHandle, SubmitOptions, Worker } from "./worker.ts";

export interface SubmissionOptions {
  readonly workerId: string;
  readonly leaseMs: number;
  readonly localSubject: string;
  readonly store: JobStore;
  readonly board: JobBoard;
  readonly intake: Intake;
  readonly cancel: Cancel;
  readonly telemetry: WorkerTelemetry;
  /** Jobs that are being stored and are not on the board yet */
  readonly arriving: Set<string>;
  readonly now: () => number;
  isOpen(): boolean;
  /** Puts an accepted job on its way */
  welcome(job: ActiveJob): void;
}

/** What a host program does with its worker: hands jobs in and waits for them. */
export interface Submission {
  submit: Worker["submit"];
  submitDocument: Worker["submitDocument"];
  checkDocument: Worker["checkDocument"];
  resultOf: Worker["result"];
  /** Resolves when no job is being stored. */
  settled(): Promise<void>;
}

export function createSubmission(options: SubmissionOptions): Submission {
  const { workerId, leaseMs, store, board, intake, cancel, arriving, now, isOpen } = options;
  const submitting = new Set<Promise<unknown>>();

  const submit: Worker["submit"] = (input, submitOptions) =>
    track(accept(input, (traced) => admit({ document: createJobDocument(traced) }, submitOptions)));

  const submitDocument: Worker["submitDocument"] = ({ document, wire }, submitOptions) =>
    track(
      // What a trace adds to the document is no part of what was signed.
      accept(document, (traced) =>
        admit({ document: { ...document, ...observed(traced) }, wire }, submitOptions),
      ),
    );

  async function checkDocument(
    ...[{ document, wire }, { subject = options.localSubject, signal } = {}]: Parameters<
      Worker["checkDocument"]
    >
  ): Promise<void> {
    assertTakesMore();
    await intake.admit(document, { subject, wire, signal });
  }

  async function track(accepting: Promise<JobHandle>): Promise<JobHandle> {
    submitting.add(accepting);
    try {
      return await accepting;
    } finally {
      submitting.delete(accepting);
    }
  }

  async function accept(
    input: JobInput,
    task: (traced: JobInput) => Promise<JobHandle>,
  ): Promise<JobHandle> {
    assertTakesMore();
    return options.telemetry.submit(input, task);
  }

  function assertTakesMore(): void {
    assertOpen();
    if (!board.isFull) return;
    throw new LongshoreError("QUEUE_FULL", `${board.size} jobs wait; try again later.`);
  }

  async function admit(
    { document, wire }: { document: JobDocument; wire?: WireDocument },
    { subject = options.localSubject, signal }: SubmitOptions = {},
  ): Promise<JobHandle> {
    const submitter = await intake.admit(document, { subject, wire, signal });
    assertOpen();
    const { jobId } = document;
    arriving.add(jobId);
    try {
      const nowMs = now();
      const { record } = await store.insert({
        document,
        owner: workerId,
        leaseExpiresAtMs: nowMs + leaseMs,
        acceptedAtMs: nowMs,
        ...(submitter !== "anonymous" && { submittedBy: submitter }),
        ...(document.execution.idempotencyKey !== undefined && {
          payloadDigest: payloadDigest(document.operation, document.payload.data),
        }),
      });
      if (!isTerminal(record.state)) options.welcome(board.add(record, undefined));
      return {
        jobId,
        isDeduplicated: isTerminal(record.state),
        result: (resultOptions) => resultOf(jobId, resultOptions),
        cancel: (cancelOptions) => cancel(jobId, cancelOptions),
      };
    } finally {
      arriving.delete(jobId);
    }
  }

  function assertOpen(): void {
    if (isOpen()) return;
    throw new LongshoreError("WORKER_DRAINING", "The worker takes no more jobs.");
  }

  async function resultOf(
    ...[jobId, { signal } = {}]: Parameters<Worker["result"]>
  ): Promise<JobResult> {
    const departure = board.departure(jobId);
    if (departure !== undefined) {
      const left = await raceAbort(departure, signal);
      if (left.kind === "gone") throw left.error;
      return left.result;
    }
    const record = await store.get(jobId);
    if (record === undefined) throw noSuchJob(jobId);
    if (record.result !== undefined) return record.result;
    if (record.owner === workerId && !isOpen()) throw shutdownError();
    throw new LongshoreError("JOB_NOT_FINISHED", `Job ${jobId} is ${record.state} elsewhere.`, {
      details: { state: record.state, owner: record.owner },
    });
  }

  return {
    submit,
    submitDocument,
    checkDocument,
    resultOf,
    async settled() {
      await Promise.allSettled(submitting);
    },
  };
}

function observed({ observability }: JobInput): Pick<JobDocument, "observability"> {
  return observability === undefined ? {} : { observability };
}
