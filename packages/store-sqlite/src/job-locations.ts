import type { Statements } from "./statements.ts";

/** Where a job is in the tables. */
interface JobLocation {
  readonly seq: number;
  /** Scope of its idempotency key */
  readonly scope: string | null;
}

/** Remembers where the jobs under way are, so that a change needs no look-up by name. */
export interface JobLocations {
  note(jobId: string, location: JobLocation): void;
  forget(jobId: string): void;
  /**
   * Applies a change to a job and returns where it is, or `undefined` when the change matched no row. The change must
   * name the job besides the row: another process may have removed the job, and its number may belong to another one.
   */
  change(jobId: string, apply: (seq: number) => number): JobLocation | undefined;
}

const maxRemembered = 20_000;

export function jobLocations(statements: Statements): JobLocations {
  const known = new Map<string, JobLocation>();

  function note(jobId: string, location: JobLocation): void {
    known.set(jobId, location);
    if (known.size <= maxRemembered) return;
    const [oldest] = known.keys();
    if (oldest !== undefined) known.delete(oldest);
  }

  return {
    note,
    forget(jobId) {
      known.delete(jobId);
    },
    change(jobId, apply) {
      const remembered = known.get(jobId);
      if (remembered !== undefined && apply(remembered.seq) > 0) return remembered;
      const found = statements.locate.get(jobId) as JobLocation | undefined;
      if (found === undefined || found.seq === remembered?.seq) return undefined;
      note(jobId, found);
      return apply(found.seq) > 0 ? found : undefined;
    },
  };
}
