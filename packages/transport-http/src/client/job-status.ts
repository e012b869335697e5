import type { AttemptRecord, JobError, JobState } from "@longshore/core";
import { decodeJobError } from "@longshore/core/wire";

/** Where a job stands. */
export interface JobStatus {
  readonly jobId: string;
  readonly operation: string;
  readonly namespace: string;
  readonly name?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly state: JobState;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly priority: number;
  readonly workerId: string;
  /** Times are RFC 3339 */
  readonly createdAt: string;
  readonly acceptedAt: string;
  readonly startedAt?: string | undefined;
  readonly finishedAt?: string | undefined;
  readonly notBefore?: string | undefined;
  /** Job that it is another try of */
  readonly retryOf?: string | undefined;
  readonly history?: readonly AttemptRecord[] | undefined;
  readonly error?: JobError | undefined;
}

/** A job as the API answers it, with names in camelCase. */
export function toApiNames(wire: Readonly<Record<string, unknown>>): JobStatus {
  const { history, error, ...rest } = wire;
  return {
    ...camelCase(rest),
    ...(Array.isArray(history) && { history: history.map(toAttempt) }),
    ...(error !== undefined && error !== null && { error: decodeJobError(error) }),
  } as unknown as JobStatus;
}

function toAttempt(wire: Readonly<Record<string, unknown>>): AttemptRecord {
  const { error, ...rest } = wire;
  return Object.assign(
    camelCase(rest),
    error === undefined ? {} : { error: decodeJobError(error) },
  ) as unknown as AttemptRecord;
}

/** Renames the fields of one object, not those of the objects in it: their names are the client's own. */
function camelCase(value: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [
      name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      field,
    ]),
  );
}
