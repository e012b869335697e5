/** What is known of a job, wherever it was looked up. */
export interface SummarisedJob {
  readonly jobId: string;
  readonly operation: string;
  readonly state: string;
  readonly attempt: number;
  /** Worker that has it */
  readonly owner: string;
  /** Times are RFC 3339 */
  readonly acceptedAt: string;
  readonly finishedAt?: string | undefined;
}

/** A job as the command prints it: the same fields from a store and from an API. */
export function jobSummary(job: SummarisedJob): Readonly<Record<string, unknown>> {
  return {
    job_id: job.jobId,
    operation: job.operation,
    state: job.state,
    attempt: job.attempt,
    owner: job.owner,
    accepted_at: job.acceptedAt,
    ...(job.finishedAt !== undefined && { finished_at: job.finishedAt }),
  };
}
