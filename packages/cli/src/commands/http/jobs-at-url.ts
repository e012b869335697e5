import { encodeJobEvent, encodeJobResult } from "@longshore/core";
import Table from "cli-table3";
import { exitCodes } from "../../exit-codes.ts";
import { interruptible } from "../../interruptible.ts";
import { colourState, openTerminal } from "../../terminal.ts";
import { jobSummary } from "../job-summary.ts";
import { toState } from "../to-state.ts";
import { watchJob } from "../watch-job.ts";
import { jobAtUrl } from "./job-at-url.ts";
import { openClient, type UrlFlags } from "./open-client.ts";

interface Flags extends UrlFlags {
  readonly json?: boolean;
}

export interface ListAtUrlFlags extends Flags {
  readonly state?: readonly string[];
  readonly operation?: string;
  readonly limit?: number;
  readonly cursor?: string;
}

/** Shows the jobs of a worker, newest first. */
export async function listJobsAtUrl(flags: ListAtUrlFlags): Promise<number> {
  const terminal = openTerminal(flags);
  const client = await openClient(flags);
  const { operation, limit, cursor } = flags;
  const page = await client.list({ states: flags.state?.map(toState), operation, limit, cursor });
  if (terminal.isJson) {
    for (const job of page.jobs) terminal.printJson(jobSummary({ ...job, owner: job.workerId }));
    return exitCodes.ok;
  }
  const table = new Table({ head: ["job", "operation", "state", "attempt", "accepted"] });
  for (const job of page.jobs) {
    table.push([
      job.jobId,
      job.operation,
      colourState(job.state),
      `${job.attempt}/${job.maxAttempts}`,
      job.acceptedAt,
    ]);
  }
  terminal.print(table.toString());
  if (page.nextCursor !== undefined) terminal.print(`more: --cursor ${page.nextCursor}`);
  return exitCodes.ok;
}

/** Shows a job's events until it has ended, then its end. */
export async function followAtUrl(jobId: string, flags: Flags): Promise<number> {
  const terminal = openTerminal(flags);
  const client = await openClient(flags);
  if (terminal.isJson) {
    await interruptible(async (signal) => {
      for await (const event of client.events(jobId, { signal })) {
        terminal.printJson(encodeJobEvent(event));
      }
    });
    const { state } = await client.get(jobId);
    return endCode(state);
  }
  await client.get(jobId);
  const result = await watchJob(terminal, jobAtUrl(client, jobId));
  terminal.print(`${colourState(result.status)}  ${jobId}`);
  if (result.error !== undefined) terminal.print(`${result.error.code}: ${result.error.message}`);
  return endCode(result.status);
}

/** Prints what a job writes, with `follow` until it has ended. */
export async function logsAtUrl(
  jobId: string,
  flags: Flags & {
    readonly follow?: boolean;
    readonly stream?: "stdout" | "stderr" | "both";
    readonly tail?: number;
  },
): Promise<number> {
  const { follow = false, stream, tail } = flags;
  const client = await openClient(flags);
  const wanted = { ...(stream !== undefined && { stream }), ...(tail !== undefined && { tail }) };
  await interruptible(async (signal) => {
    if (!follow) {
      process.stdout.write(await client.logText(jobId, { ...wanted, signal }));
      return;
    }
    for await (const { stream: from, line } of client.logLines(jobId, { ...wanted, signal })) {
      (from === "stderr" ? process.stderr : process.stdout).write(`${line}\n`);
    }
  });
  return exitCodes.ok;
}

/** Ends a job. */
export async function cancelAtUrl(
  jobId: string,
  flags: Flags & { readonly reason?: string; readonly force?: boolean },
): Promise<number> {
  const terminal = openTerminal(flags);
  const client = await openClient(flags);
  const { reason, force } = flags;
  const state = await client.cancel(jobId, {
    ...(reason !== undefined && { reason }),
    ...(force !== undefined && { force }),
  });
  if (terminal.isJson) terminal.printJson({ job_id: jobId, state });
  else terminal.print(`${jobId} is ${colourState(state)}`);
  return exitCodes.ok;
}

/** Shows one job, with its result once it has ended. */
export async function showAtUrl(jobId: string, flags: Flags): Promise<number> {
  const terminal = openTerminal(flags);
  const client = await openClient(flags);
  const status = await client.get(jobId);
  const shown = {
    ...jobSummary({ ...status, owner: status.workerId }),
    ...(status.finishedAt !== undefined && {
      result: encodeJobResult(await client.result(jobId)),
    }),
  };
  if (terminal.isJson) terminal.printJson(shown);
  else terminal.print(JSON.stringify(shown, null, 2));
  return exitCodes.ok;
}

function endCode(state: string): number {
  return state === "completed" || state === "finished" ? exitCodes.ok : exitCodes.failed;
}
