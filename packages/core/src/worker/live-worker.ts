import { toJobError } from "../errors/job-error.ts";
import { isLongshoreError, LongshoreError } from "../errors/longshore-error.ts";
import { eventTopic } from "../events/event-topic.ts";
import type { ActiveJob, JobLease } from "../executor/active-job.ts";
import { createExecutor } from "../executor/executor.ts";
import { createScheduler, type QueueEntry } from "../executor/scheduler.ts";
import type { JobEvent } from "../job/job-event.ts";
import type { JobResult } from "../job/job-result.ts";
import { logJobEvent } from "../telemetry/log-job-event.ts";
import type { JobTransport } from "../transport/job-transport.ts";
import { createAdoption } from "./adoption.ts";
import { createAnswers } from "./answers.ts";
import { createCancellation } from "./cancellation.ts";
import { createIntake } from "./intake.ts";
import { createJobBoard } from "./job-board.ts";
import { createLeaseDesk } from "./lease-desk.ts";
import { createLeaseKeeper } from "./lease-keeper.ts";
import type { WorkerSetup } from "./worker-setup.ts";
import { shutdownError } from "./shutdown-error.ts";
import { createSubmission } from "./submission.ts";
import type { StopOptions, Worker } from "./worker.ts";
import type { WorkerState } from "./worker-state.ts";
import { checkHealth } from "./worker-health.ts";
import { raceAbort } from "./abort-race.ts";
import { createPeriodicTasks } from "./periodic-tasks.ts";
import { inTime } from "./in-time.ts";
import { settleAll } from "./settle-all.ts";
import { createRecovery } from "./recovery.ts";
import { removeDir, removeLeftovers } from "./work-dirs.ts";

/** Handlers end by themselves within the kill grace; this much later they are given up on. */
const giveUpMarginMs = 3_000;
const pruneEveryMs = 60_000;
/** Wait before a job that could not be written is tried again */
const requeueDelayMs = 1_000;

/** A worker that is assembled and waits for `start`. */
export interface LiveWorker {
  readonly worker: Worker;
  start(signal: AbortSignal | undefined): Promise<void>;
}

export function createLiveWorker(setup: WorkerSetup): LiveWorker {
  const { id, pool, store, events, logger, telemetry, registry, transports, capabilities } = setup;
  const { maxConcurrentJobs, leaseMs, killGraceMs, shutdownTimeoutMs, teardownTimeoutMs } =
    setup.defaults;
  const now = Date.now;
  let lifecycle: WorkerState = "starting";
  /** Whether no other process can be working under this worker's id */
  let hasIdentity = false;
  const tasks = createPeriodicTasks(logger);
  const givingBack: Promise<void>[] = [];
  /** Jobs that are being stored and are not on the board yet */
  const arriving = new Set<string>();

  const board = createJobBoard({
    workerId: id,
    capacity: setup.defaults.maxQueuedJobs + maxConcurrentJobs,
    publish: publishJobEvent,
  });
  const leases = createLeaseKeeper({ logger, telemetry, onLost: dropLease });
  const answers = createAnswers({ leases, logger, telemetry });
  const intake = createIntake({
    workerId: id,
    pool,
    labels: setup.labels,
    taints: setup.taints,
    policy: setup.policy,
    rules: setup.rules,
    verifySignature: setup.verifySignature,
    capabilities,
    registry,
    isRunning: (jobId) => board.get(jobId)?.state === "running",
    now,
  });
  const executor = createExecutor({
    workerId: id,
    workerVersion: capabilities.workerVersion,
    store,
    findHandler: intake.findHandler,
    rules: setup.rules,
    telemetry,
    logger,
    workRoot: setup.workRoot,
    artifactsRoot: setup.artifactsRoot,
    giveUpAfterMs: killGraceMs + giveUpMarginMs,
    now,
    random: Math.random,
    onEnded,
    onDropped,
  });
  const scheduler = createScheduler({
    maxConcurrentJobs,
    // The next job runs while the end of the one before is written.
    run: async (jobId, freeSlot) => {
      const job = board.get(jobId);
      if (job === undefined || (await executor.run(job, freeSlot)) === "ended") return undefined;
      if (isOpen()) return entryFor(job, job.queuedAtMs);
      givingBack.push(giveBack(job));
      return undefined;
    },
    expire,
  });
  const adoption = createAdoption({
    workerId: id,
    store,
    board,
    executor,
    logger,
    now,
    enqueue: (job, notBeforeMs) => {
      enqueue(job, Math.max(notBeforeMs ?? 0, now()));
    },
  });
  const recovery = createRecovery({
    workerId: id,
    leaseMs,
    store,
    board,
    adoption,
    transports,
    arriving,
    logger,
    now,
    isOpen,
    abandon,
  });
  const cancel = createCancellation({
    workerId: id,
    store,
    board,
    scheduler,
    executor,
    telemetry,
    logger,
  });
  const submission = createSubmission({
    workerId: id,
    leaseMs,
    localSubject: setup.localSubject,
    store,
    board,
    intake,
    cancel,
    telemetry,
    arriving,
    now,
    isOpen,
    welcome,
  });
  const desk = createLeaseDesk({
    workerId: id,
    leaseMs,
    maxPayloadBytes: setup.rules.max.payloadBytes,
    store,
    board,
    intake,
    adoption,
    leases,
    answers,
    logger,
    now,
    arriving,
    isDraining: () => !isOpen(),
    enqueue: welcome,
    cancel: (jobId, reason) => {
      cancel(jobId, { reason }).catch((error: unknown) => {
        logger.warn({ jobId, err: error }, "cancel refused");
      });
    },
    dropLease,
  });

  function isOpen(): boolean {
    return lifecycle === "starting" || lifecycle === "ready";
  }

  function publishJobEvent(job: ActiveJob, event: JobEvent, isKept: boolean): void {
    const kind = event.kind === "state" ? event.phase : event.kind;
    // Before it is told: whoever hears of the event finds it in the log.
    if (!isKept) {
      store.events?.append(event).catch((error: unknown) => {
        logger.error({ jobId: job.jobId, err: error }, "event could not be kept");
      });
    }
    void events.publish(eventTopic("job", job.jobId, kind), event, { entityType: "job" });
    job.lease?.transport.publishEvent?.(job.lease.leaseId, event);
    logJobEvent(logger, event);
  }

  function publishNodeEvent(event: string): void {
    void events.publish(
      eventTopic("node", id, event),
      { workerId: id, pool },
      { entityType: "node" },
    );
  }

  function welcome(job: ActiveJob): void {
    job.events.state("queued", "The job was accepted.");
    enqueue(job, Math.max(job.queuedAtMs, toMs(job.document.execution.notBefore)));
  }

  function enqueue(job: ActiveJob, notBeforeMs: number): void {
    // The stop may have begun while the job was being stored.
    if (isOpen()) scheduler.enqueue(entryFor(job, notBeforeMs));
    else givingBack.push(giveBack(job));
  }

  function entryFor(job: ActiveJob, notBeforeMs: number): QueueEntry {
    const { priority, queueTimeoutSeconds, deadline } = job.document.execution;
    job.queuedAtMs = notBeforeMs;
    telemetry.jobQueued(job.document);
    return {
      jobId: job.jobId,
      priority,
      acceptedAtMs: job.acceptedAtMs,
      notBeforeMs,
      expiresAtMs: Math.min(
        notBeforeMs + queueTimeoutSeconds * 1_000,
        deadline === undefined ? Infinity : Date.parse(deadline),
      ),
    };
  }

  function expire(jobId: string): void {
    const job = board.get(jobId);
    if (job === undefined) return;
    telemetry.jobDequeued();
    const { deadline, queueTimeoutSeconds } = job.document.execution;
    const error =
      deadline !== undefined && Date.parse(deadline) <= now()
        ? new LongshoreError("DEADLINE_EXCEEDED", "The job's deadline passed before it started.")
        : new LongshoreError("QUEUE_TIMEOUT", `The job waited more than ${queueTimeoutSeconds} s.`);
    void executor.end(job, { status: "timeout", error: toJobError(error) });
  }

  function onEnded(job: ActiveJob, result: JobResult): void {
    if (job.lease !== undefined) void answers.ack(job.lease, result);
    board.leave(job, { kind: "ended", result });
  }

  /** Lets a waiting job go: a leased one to its transport, any other to the next process with this store. */
  async function giveBack(job: ActiveJob): Promise<void> {
    const { lease } = job;
    const error = shutdownError();
    if (lease === undefined) {
      board.leave(job, { kind: "gone", error });
      return;
    }
    // The record ends first: should the process die now, the message comes again and begins anew.
    job.lease = undefined;
    await abandon(job, error);
    await answers.nack(lease, toJobError(error), { requeue: true, countAttempt: false });
  }

  async function abandon(job: ActiveJob, reason: LongshoreError): Promise<void> {
    try {
      await adoption.abandon(job, reason);
    } catch (error) {
      onDropped(job, error);
    }
  }

  function onDropped(job: ActiveJob, thrown: unknown): void {
    logger.error({ jobId: job.jobId, err: thrown }, "job dropped; it could not be written");
    const error = isLongshoreError(thrown)
      ? thrown
      : new LongshoreError("INTERNAL_ERROR", "The job could not be written.", { cause: thrown });
    board.leave(job, { kind: "gone", error });
    // Its message comes again, here or elsewhere, and finds the record as it is then.
    if (job.lease === undefined) return;
    void answers.nack(job.lease, toJobError(error), { requeue: true, delayMs: requeueDelayMs });
  }

  function dropLease(lease: JobLease): void {
    const job = board.findByLease(lease);
    if (job === undefined || job.isEnding) return;
    job.lease = undefined;
    const reason = new LongshoreError("LEASE_LOST", "The job's lease went to another worker.");
    if (scheduler.remove(job.jobId)) {
      telemetry.jobDequeued();
      void abandon(job, reason);
    } else {
      executor.stop(job, reason);
    }
  }

  async function start(signal: AbortSignal | undefined): Promise<void> {
    await registry.setup({ signal, teardownTimeoutMs });
    // A transport knows whether another process works under this id: before it, the store is not touched.
    for (const transport of transports) {
      await transport.start(desk.sinkFor(transport), { workerId: id, signal });
    }
    hasIdentity = true;
    await recovery.atStart();
    signal?.throwIfAborted();
    const { resultRetentionMs } = setup.defaults;
    const renew = (): Promise<void> => store.renewLeases(id, now() + leaseMs);
    const prune = (): Promise<number> =>
      store.prune({ finishedBeforeMs: now() - resultRetentionMs });
    tasks.every(leaseMs / 3, renew, "leases not renewed");
    tasks.every(leaseMs, () => recovery.takeOver(), "no take-over");
    tasks.every(pruneEveryMs, prune, "no pruning");
    await removeLeftovers(setup);
    lifecycle = "ready";
    publishNodeEvent("ready");
    logger.info({ workerId: id, pool, operations: registry.operations() }, "worker is ready");
  }

  const hurry = new AbortController();
  let stopped: Promise<void> | undefined;

  function stop(options: StopOptions = {}): Promise<void> {
    const { timeoutMs = shutdownTimeoutMs } = options;
    const timer = setTimeout(() => {
      hurry.abort();
    }, timeoutMs);
    if (timeoutMs === 0) hurry.abort();
    stopped ??= shutDown();
    return stopped.finally(() => {
      clearTimeout(timer);
    });
  }

  async function shutDown(): Promise<void> {
    lifecycle = "draining";
    publishNodeEvent("draining");
    logger.info({ runningJobs: scheduler.runningCount }, "worker drains");
    board.close();
    const pause = (transport: JobTransport): Promise<void> =>
      inTime(
        transport.pause(),
        teardownTimeoutMs,
        `The pausing of the transport "${transport.name}"`,
      );
    await settleAll(transports, pause, { logger, failure: "transport did not pause" });
    for (const jobId of scheduler.clear()) {
      const job = board.get(jobId);
      telemetry.jobDequeued();
      if (job !== undefined) givingBack.push(giveBack(job));
    }
    await raceAbort(scheduler.idle(), hurry.signal).catch(() => {
      logger.warn({ runningJobs: scheduler.runningCount }, "time is up; running jobs are aborted");
    });
    lifecycle = "stopping";
    const reason = new LongshoreError("SHUTDOWN", "The worker stopped.");
    for (const job of board.values()) executor.stop(job, reason);
    await scheduler.idle();
    await submission.settled();
    await Promise.all(givingBack);
    await answers.close();
    tasks[Symbol.dispose]();
    leases[Symbol.dispose]();
    await settleAll([registry], (handlers) => handlers.teardown({ teardownTimeoutMs }), {
      logger,
      failure: "handlers not torn down",
    });
    const close = (transport: JobTransport): Promise<void> =>
      inTime(
        transport[Symbol.asyncDispose](),
        teardownTimeoutMs,
        `The closing of the transport "${transport.name}"`,
      );
    await settleAll(transports, close, { logger, failure: "transport did not close" });
    // Whoever shares the store need not wait for the leases to run out.
    if (hasIdentity)
      await store.renewLeases(id, 0).catch((error: unknown) => {
        logger.warn({ err: error }, "leases not given up");
      });
    await removeDir(setup.workRoot);
    lifecycle = "stopped";
    publishNodeEvent("stopped");
    logger.info("worker stopped");
    await setup.disposeOwned();
  }

  const worker: Worker = {
    id,
    pool,
    labels: setup.labels,
    capabilities,
    events,
    get state() {
      return lifecycle === "ready" && scheduler.runningCount >= maxConcurrentJobs
        ? "busy"
        : lifecycle;
    },
    get load() {
      return {
        runningJobs: scheduler.runningCount,
        queuedJobs: scheduler.waitingCount,
        maxConcurrentJobs,
      };
    },
    submit: submission.submit,
    submitDocument: submission.submitDocument,
    checkDocument: submission.checkDocument,
    get: (jobId) => store.get(jobId),
    list: (query, options) => store.list(query, options),
    result: submission.resultOf,
    cancel: (jobId, options) => cancel(jobId, options),
    stop,
    health: () => checkHealth(worker, { store, transports }),
    [Symbol.asyncDispose]: () => stop(),
  };
  return { worker, start };
}

function toMs(time: string | undefined): number {
  return time === undefined ? 0 : Date.parse(time);
}
