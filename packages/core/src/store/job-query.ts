import { LongshoreError } from "../errors/longshore-error.ts";
import type { JobQuery, JobRecord } from "./job-store.ts";

/** Where a page of records ended: records are ordered by acceptance, then id. */
export interface JobCursor {
  readonly acceptedAtMs: number;
  readonly jobId: string;
}

const maxLimit = 500;

/** @throws {LongshoreError} `VALIDATION_ERROR` */
export function pageLimit({ limit = 100 }: JobQuery): number {
  if (Number.isSafeInteger(limit) && limit >= 1 && limit <= maxLimit) return limit;
  throw new LongshoreError("VALIDATION_ERROR", `limit must be 1 to ${maxLimit}, got ${limit}.`, {
    details: { field: "limit" },
  });
}

/** The text in which a page hands its end to the next call. */
export function formatCursor({ acceptedAtMs, jobId }: JobCursor): string {
  return Buffer.from(`${acceptedAtMs}:${jobId}`).toString("base64url");
}

/** @throws {LongshoreError} `VALIDATION_ERROR` */
export function parseCursor(text: string): JobCursor {
  const match = /^(\d{1,16}):(.{1,128})$/.exec(Buffer.from(text, "base64url").toString());
  const [, acceptedAtMs, jobId] = match ?? [];
  if (acceptedAtMs === undefined || jobId === undefined) {
    throw new LongshoreError("VALIDATION_ERROR", "The cursor is not one that this store gave.", {
      details: { field: "cursor" },
    });
  }
  return { acceptedAtMs: Number(acceptedAtMs), jobId };
}

/** Whether a record is what the query asks for, but for order and page. */
export function isMatch(record: JobRecord, query: JobQuery): boolean {
  const { document } = record;
  const labels = document.metadata?.labels;
  return (
    (query.states === undefined || query.states.includes(record.state)) &&
    (query.operation === undefined || query.operation === document.operation) &&
    (query.namespace === undefined ||
      query.namespace === (document.metadata?.namespace ?? "default")) &&
    Object.entries(query.labels ?? {}).every(([key, value]) => labels?.[key] === value)
  );
}
