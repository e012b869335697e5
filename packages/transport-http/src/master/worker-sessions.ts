import { randomUUID } from "node:crypto";
import {
  decodeCapabilities,
  handledOperation,
  LongshoreError,
  matches,
  type Capabilities,
  type JobDocument,
  type Taint,
} from "@longshore/core";
import type { Registration } from "../polling/messages.ts";

/** A worker that polls. */
export interface WorkerSession {
  readonly workerId: string;
  readonly instanceId: string;
  readonly leaseMs: number;
  readonly pool: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
  readonly capabilities: Capabilities | undefined;
  seenAtMs: number;
  /** Number of its last poll */
  pollNumber: number;
  /** Ends the poll that it waits in */
  endPoll: (() => void) | undefined;
}

/** The workers that have said who they are, since the master was started. */
export interface WorkerSessions {
  /**
   * @throws {LongshoreError} `WORKER_ID_IN_USE` while another process of the worker is there, `QUEUE_FULL` for too many
   *   workers, `VALIDATION_ERROR`
   */
  register(registration: Registration): WorkerSession;
  /**
   * The session of a request, which shows that its worker lives.
   *
   * @throws {LongshoreError} `NOT_FOUND` for a worker that has to register first, `WORKER_ID_IN_USE`
   */
  get(workerId: string, instanceId: string): WorkerSession;
  /** A worker that lives has shown it by other means. */
  note(workerId: string): void;
  find(workerId: string): WorkerSession | undefined;
  leave(session: WorkerSession): void;
  values(): readonly WorkerSession[];
  /** In which a worker's cursors count */
  readonly epoch: string;
}

export interface WorkerSessionsOptions {
  readonly maxWorkers: number;
  readonly now: () => number;
}

export function workerSessions({ maxWorkers, now }: WorkerSessionsOptions): WorkerSessions {
  const sessions = new Map<string, WorkerSession>();

  function isLive({ endPoll, seenAtMs, leaseMs }: WorkerSession): boolean {
    return endPoll !== undefined || now() < seenAtMs + leaseMs;
  }

  function forgetGone(): void {
    for (const [workerId, session] of sessions) if (!isLive(session)) sessions.delete(workerId);
  }

  return {
    epoch: randomUUID(),
    register(registration) {
      const { worker_id: workerId, instance_id: instanceId, replaces } = registration;
      const known = sessions.get(workerId);
      const isOwn = known?.instanceId === instanceId || known?.instanceId === replaces;
      if (known !== undefined && !isOwn && isLive(known)) throw inUse(workerId);
      if (known === undefined && sessions.size >= maxWorkers) {
        forgetGone();
        if (sessions.size >= maxWorkers) {
          throw new LongshoreError("QUEUE_FULL", `${sessions.size} workers poll already.`);
        }
      }
      known?.endPoll?.();
      const { capabilities } = registration;
      const session: WorkerSession = {
        workerId,
        instanceId,
        leaseMs: registration.lease_ms,
        pool: registration.pool ?? "default",
        labels: registration.labels ?? {},
        taints: registration.taints ?? [],
        capabilities: capabilities === undefined ? undefined : decodeCapabilities(capabilities),
        seenAtMs: now(),
        pollNumber: 0,
        endPoll: undefined,
      };
      sessions.set(workerId, session);
      return session;
    },
    get(workerId, instanceId) {
      const session = sessions.get(workerId);
      if (session === undefined) {
        throw new LongshoreError("NOT_FOUND", `The worker ${workerId} is not registered.`, {
          details: { workerId },
        });
      }
      if (session.instanceId !== instanceId) throw inUse(workerId);
      session.seenAtMs = now();
      return session;
    },
    note(workerId) {
      const session = sessions.get(workerId);
      if (session !== undefined) session.seenAtMs = now();
    },
    find: (workerId) => sessions.get(workerId),
    leave(session) {
      session.endPoll?.();
      if (sessions.get(session.workerId) === session) sessions.delete(session.workerId);
    },
    values: () => [...sessions.values()],
  };
}

/** Whether a worker can run a job, as far as it has told what it can. */
export function canWorkerRun(
  { workerId, pool, labels, taints, capabilities }: WorkerSession,
  document: JobDocument,
  isRunning: (jobId: string) => boolean,
): boolean {
  if (capabilities === undefined) {
    const pin = document.routing?.workerId;
    return pin === undefined || pin === workerId;
  }
  const operation = handledOperation(document);
  if (!capabilities.operations.some((pattern) => isOperationMatch(operation, pattern))) {
    return false;
  }
  return matches(document, { workerId, pool, labels, taints, capabilities, isRunning }).ok;
}

function isOperationMatch(operation: string, pattern: string): boolean {
  return pattern.endsWith("*") ? operation.startsWith(pattern.slice(0, -1)) : operation === pattern;
}

function inUse(workerId: string): LongshoreError {
  return new LongshoreError(
    "WORKER_ID_IN_USE",
    `Another process polls as "${workerId}", or has died within its lease; give each worker an id of its own.`,
    { details: { workerId } },
  );
}
