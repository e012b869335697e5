import type { AttemptRecord, JobDocument, JobRecord, JobState } from "@longshore/core";
import { leaseOf, type LeaseName } from "./lease-id.ts";

/** A worker's time with a job. */
export interface Lease extends LeaseName {
  readonly leaseMs: number;
  expiresAtMs: number;
  /** Whether its time is over and nobody else has the job yet */
  isExpired: boolean;
  /** Number of the last event that the worker has told */
  lastSequence: number;
}

/** A job that has not ended: what the master has to know of it at any time. The rest is in the store. */
export interface JobEntry {
  readonly jobId: string;
  /** The document without what it brings along: what decides who may run it */
  readonly placement: JobDocument;
  /** Length of the whole document as JSON */
  readonly documentBytes: number;
  readonly acceptedAtMs: number;
  state: JobState;
  owner: string;
  attempt: number;
  nextSequence: number;
  history: readonly AttemptRecord[];
  startedAtMs: number | undefined;
  /** Since when it waits for a worker; later than now when it may not be started yet */
  waitsSinceMs: number;
  /** Not taken for one that waited too long before: until then no worker could know of it */
  readonly patientUntilMs: number;
  lease: Lease | undefined;
  /** Grows with every job that is to end; 0 for one that nobody has cancelled */
  cancelNumber: number;
  cancelReason: string | undefined;
  timer: NodeJS.Timeout | undefined;
  /** Ends when the last change of the job is written: changes of one job are made one after the other */
  turn: Promise<unknown>;
}

/** @param graceMs how long a lease lives from now on that the job is under, and how long the job waits at least */
export function toEntry(record: JobRecord, nowMs: number, graceMs: number): JobEntry {
  const { jobId, document, state, owner, attempt, nextSequence, history } = record;
  const { acceptedAtMs, startedAtMs, notBeforeMs = 0 } = record;
  const name = state === "queued" ? undefined : leaseOf(record);
  return {
    jobId,
    placement: withoutContent(document),
    documentBytes: JSON.stringify(document).length,
    acceptedAtMs,
    state,
    owner,
    attempt,
    nextSequence,
    history,
    startedAtMs,
    waitsSinceMs: Math.max(acceptedAtMs, notBeforeMs, toMs(document.execution.notBefore)),
    patientUntilMs: nowMs + graceMs,
    lease: name === undefined ? undefined : toLease(name, nowMs, graceMs),
    cancelNumber: 0,
    cancelReason: undefined,
    timer: undefined,
    turn: Promise.resolve(),
  };
}

/** A lease that begins now. */
export function toLease(name: LeaseName, nowMs: number, leaseMs: number): Lease {
  return { ...name, leaseMs, expiresAtMs: nowMs + leaseMs, isExpired: false, lastSequence: -1 };
}

/** Whether a lost worker was the last that could try. */
export function isLastAttempt({ attempt, placement }: JobEntry): boolean {
  return attempt >= placement.execution.maxAttempts;
}

/** Whether the job is nobody's now, so that the next worker may have it. */
export function isFree({ state, lease }: JobEntry): boolean {
  return lease === undefined ? state === "queued" : lease.isExpired;
}

/** Runs a change of a job after those before it. */
export function inTurn<T>(entry: JobEntry, change: () => Promise<T>): Promise<T> {
  const changed = entry.turn.then(change);
  entry.turn = changed.catch(() => {
    // Whoever made the change is told; the next one begins with the job as it is.
  });
  return changed;
}

/** Payload, files and environment may be large, and say nothing about where a job can run. */
function withoutContent(document: JobDocument): JobDocument {
  const { payload, runtime, original: _original, ...rest } = document;
  if (runtime === undefined) return { ...rest, payload: { type: payload.type, data: null } };
  const { files: _files, build: _build, env: _env, ...how } = runtime;
  return { ...rest, payload: { type: payload.type, data: null }, runtime: { ...how, env: {} } };
}

function toMs(time: string | undefined): number {
  return time === undefined ? 0 : Date.parse(time);
}
