import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import {
  encodeJobDocument,
  encodeJobResult,
  isTerminal,
  LongshoreError,
  type JobRecord,
  type JobState,
  type JobStore,
} from "@longshore/core";
import { sqliteJobStore } from "@longshore/store-sqlite";
import { requestCancel } from "@longshore/transport-file";
import Table from "cli-table3";
import { exitCodes } from "../exit-codes.ts";
import { colourState, openTerminal } from "../terminal.ts";
import { jobSummary } from "./job-summary.ts";
import { toState } from "./to-state.ts";

export interface HomeFlags {
  readonly home: string;
  readonly json?: boolean;
}

export interface ListFlags extends HomeFlags {
  readonly state?: readonly string[];
  readonly operation?: string;
  readonly limit?: number;
  readonly cursor?: string;
}

/** Shows the jobs in a worker's store, newest first. */
export async function listJobs(flags: ListFlags): Promise<number> {
  const terminal = openTerminal(flags);
  await using store = openStore(flags);
  const page = await store.list({
    states: flags.state?.map(toState),
    operation: flags.operation,
    limit: flags.limit,
    cursor: flags.cursor,
  });
  if (terminal.isJson) {
    for (const record of page.records) terminal.printJson(summary(record));
    return exitCodes.ok;
  }
  const table = new Table({
    head: ["job", "operation", "state", "attempt", "accepted", "ran for"],
  });
  for (const record of page.records) {
    const { jobId, document, state, attempt, acceptedAtMs, result } = record;
    table.push([
      jobId,
      document.operation,
      colourState(state),
      `${attempt}/${document.execution.maxAttempts}`,
      new Date(acceptedAtMs).toISOString(),
      result === undefined ? "" : `${result.executionSummary.durationMs} ms`,
    ]);
  }
  terminal.print(table.toString());
  if (page.nextCursor !== undefined) terminal.print(`more: --cursor ${page.nextCursor}`);
  return exitCodes.ok;
}

/** Shows one job with its document and, once it has ended, its result. */
export async function showJob(jobId: string, flags: HomeFlags): Promise<number> {
  const terminal = openTerminal(flags);
  await using store = openStore(flags);
  const record = await store.get(jobId);
  if (record === undefined) throw new LongshoreError("NOT_FOUND", `There is no job ${jobId}.`);
  const shown = {
    ...summary(record),
    document: encodeJobDocument(record.document),
    ...(record.result !== undefined && { result: encodeJobResult(record.result) }),
  };
  if (terminal.isJson) terminal.printJson(shown);
  else terminal.print(JSON.stringify(shown, null, 2));
  return exitCodes.ok;
}

/** Asks the worker on the jobs directory to end a job. */
export async function cancelJob(
  jobId: string,
  flags: HomeFlags & { readonly jobsDir: string },
): Promise<number> {
  const terminal = openTerminal(flags);
  const state = await knownState(jobId, flags);
  if (state !== undefined && isTerminal(state)) {
    if (terminal.isJson) terminal.printJson({ job_id: jobId, state });
    else terminal.print(`${jobId} has ended already: ${colourState(state)}`);
    return exitCodes.ok;
  }
  await requestCancel({ jobsDir: resolve(flags.jobsDir), jobId });
  if (terminal.isJson) terminal.printJson({ job_id: jobId, requested: true });
  else terminal.print(`asked the worker to cancel ${jobId}`);
  return exitCodes.ok;
}

async function knownState(jobId: string, flags: HomeFlags): Promise<JobState | undefined> {
  if (!existsSync(storePath(flags.home))) return undefined;
  await using store = openStore(flags);
  return (await store.get(jobId))?.state;
}

function storePath(home: string): string {
  return join(resolve(home), "jobs.db");
}

function openStore({ home }: HomeFlags): JobStore {
  const path = storePath(home);
  if (!existsSync(path)) {
    throw new LongshoreError(
      "NOT_FOUND",
      `There is no job store at ${path}; name the worker's --home, or set LONGSHORE_HOME.`,
    );
  }
  return sqliteJobStore({ path });
}

function summary({ document, acceptedAtMs, finishedAtMs, ...record }: JobRecord) {
  return jobSummary({
    ...record,
    operation: document.operation,
    acceptedAt: new Date(acceptedAtMs).toISOString(),
    finishedAt: finishedAtMs === undefined ? undefined : new Date(finishedAtMs).toISOString(),
  });
}
