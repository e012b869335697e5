import type { JobCount, JobState, storeRules } from "@longshore/core";
import type { JobRow } from "./job-row.ts";

/** What an insert of a job with an idempotency key needs besides the job. */
export type KeyOfInsert = readonly [
  scope: string,
  payloadDigest: string,
  createdAt: string,
  nowMs: number,
];

/** A job to insert. The document is JSON: it is written as text and never read on the way. */
export type InsertOperation = readonly [
  kind: "insert",
  jobId: string,
  attempt: number,
  owner: string,
  leaseExpiresAtMs: number,
  acceptedAtMs: number,
  operation: string,
  namespace: string,
  sourceTransport: string | null,
  sourceName: string | null,
  documentDigest: string | null,
  document: string,
  key: KeyOfInsert | null,
  submittedBy: string | null,
];

/** A transition that changes nothing an index knows: the common one, and the cheap one. */
export type StepOperation = readonly [
  kind: "step",
  jobId: string,
  owner: string,
  attempt: number,
  from: JobState,
  to: JobState,
  startedAtMs: number | null,
  nextSequence: number | null,
];

/** Any other transition: `null` leaves a column as it is. */
export type PatchOperation = readonly [
  kind: "patch",
  jobId: string,
  owner: string,
  attempt: number,
  from: JobState,
  values: readonly [
    to: JobState,
    owner: string | null,
    attempt: number | null,
    leaseExpiresAtMs: number | null,
    startedAtMs: number | null,
    notBeforeMs: number | null,
    history: string | null,
    nextSequence: number | null,
  ],
];

export type FinishOperation = readonly [
  kind: "finish",
  jobId: string,
  owner: string,
  attempt: number,
  from: JobState,
  to: JobState,
  finishedAtMs: number,
  nextSequence: number | null,
  result: string,
  /** When the idempotency key of a completed job expires; `null` releases the key at once */
  keyExpiresAtMs: number | null,
  event: EventOperation | null,
];

type CheckpointOperation = readonly [
  kind: "checkpoint",
  jobId: string,
  owner: string,
  attempt: number,
  value: string | null,
];

export type RecoverOperation = readonly [
  kind: "recover",
  owner: string,
  nowMs: number,
  leaseExpiresAtMs: number,
  jobId: string | null,
];

export type ListOperation = readonly [
  kind: "list",
  sql: string,
  values: readonly (string | number)[],
];

/** Like `list`; answers rows of {@link JobCount}. */
export type CountOperation = readonly [
  kind: "countJobs",
  sql: string,
  values: readonly (string | number)[],
];

/** An event to keep. The event is JSON. */
export type EventOperation = readonly [
  kind: "event",
  jobId: string,
  sequence: number,
  event: string,
];

/**
 * A call to the store as plain data: it goes to the store's thread by structured clone, which is cheapest for short
 * arrays of strings and numbers. The first element says what it is.
 */
export type Operation =
  | InsertOperation
  | StepOperation
  | PatchOperation
  | FinishOperation
  | CheckpointOperation
  | RecoverOperation
  | readonly [kind: "renew", owner: string, leaseExpiresAtMs: number]
  | readonly [kind: "prune", finishedBeforeMs: number, limit: number]
  | readonly [kind: "pruneKeys", nowMs: number]
  | readonly [kind: "get", jobId: string]
  | ListOperation
  | CountOperation
  | readonly [kind: "wasPruned", jobId: string]
  | EventOperation
  | readonly [kind: "readEvents", jobId: string, afterSequence: number, limit: number]
  | readonly [kind: "count"];

/** What an insert came to, when the job was not simply stored. */
export type InsertFinding =
  | {
      readonly kind: "accepted" | "deduplicated" | "redelivered";
      /** The record as it stands now */
      readonly row: JobRow;
    }
  | { readonly kind: "exists" }
  | {
      readonly kind: "refused";
      readonly entry: storeRules.IdempotencyEntry & { readonly state: JobState };
    };

/** Why a change did not match: the record as it is. */
export interface Mismatch {
  readonly actual: storeRules.FencedRecord | undefined;
}

/** How often each state occurs. */
export interface StateCount {
  readonly state: JobState;
  readonly count: number;
}

/** What each kind of operation gives back: `undefined` when it simply did what it was asked for. */
export interface OutcomeOf {
  readonly insert: InsertFinding | undefined;
  readonly step: Mismatch | undefined;
  readonly patch: Mismatch | undefined;
  readonly finish: Mismatch | undefined;
  readonly checkpoint: Mismatch | undefined;
  readonly recover: readonly JobRow[];
  readonly renew: undefined;
  readonly prune: number;
  readonly pruneKeys: undefined;
  readonly get: JobRow | undefined;
  readonly list: readonly JobRow[];
  readonly count: readonly StateCount[];
  readonly countJobs: readonly JobCount[];
  readonly wasPruned: boolean;
  readonly event: undefined;
  /** Events as JSON */
  readonly readEvents: readonly string[];
}

export type OperationKind = keyof OutcomeOf;

/** An error says that nothing of the operation was written. */
export type Outcome = OutcomeOf[OperationKind] | Error;

/** The answer to the next `count` operations; those that are not in the map came to `undefined`. */
export interface Answer {
  readonly count: number;
  readonly outcomes: ReadonlyMap<number, Outcome>;
}

/** What the thread is started with. */
export interface ThreadData {
  readonly path: string;
  readonly synchronous: "full" | "normal";
}
