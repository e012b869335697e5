import { readFile } from "node:fs/promises";
import { extname, resolve } from "node:path";
import {
  createJobDocument,
  encodeJobDocument,
  encodeJobResult,
  LongshoreError,
  parseJobDocument,
  type JobDocument,
  type JobResult,
} from "@longshore/core";
import {
  followProgress,
  requestCancel,
  submitJobFile,
  waitForResult,
} from "@longshore/transport-file";
import { exitCodes } from "../exit-codes.ts";
import { colourState, openTerminal, type Terminal } from "../terminal.ts";
import { jobAtUrl } from "./http/job-at-url.ts";
import { openClient } from "./http/open-client.ts";
import { watchJob } from "./watch-job.ts";

export interface SubmitFlags {
  readonly jobsDir: string;
  readonly resultsDir: string;
  readonly operation?: string;
  readonly data?: string;
  readonly id?: string;
  readonly priority?: number;
  readonly timeout?: number;
  readonly maxAttempts?: number;
  readonly idempotencyKey?: string;
  readonly wait?: boolean;
  readonly url?: string;
  readonly tokenFile?: string;
  readonly json?: boolean;
}

/** Puts a job into the jobs directory, and waits for its result when asked to. Returns the exit code. */
export async function submit(file: string | undefined, flags: SubmitFlags): Promise<number> {
  const terminal = openTerminal(flags);
  const jobsDir = resolve(flags.jobsDir);
  const resultsDir = resolve(flags.resultsDir);
  const document = file === undefined ? documentFromFlags(flags) : await documentFromFile(file);
  const { jobId } = document;
  if (flags.url !== undefined) return submitToUrl(document, flags, terminal);
  const path = await submitJobFile({ jobsDir, document });
  if (flags.wait !== true) {
    if (terminal.isJson) terminal.printJson({ job_id: jobId, path });
    else terminal.print(jobId);
    return exitCodes.ok;
  }
  const place = { jobsDir, resultsDir, jobId };
  const result = await watchJob(terminal, {
    jobId,
    events: (options) => followProgress({ ...place, ...options }),
    result: (options) => waitForResult({ ...place, ...options }),
    cancel: () => requestCancel(place),
  });
  if (terminal.isJson) terminal.printJson(encodeJobResult(result));
  else printResult(terminal, result, resolve(resultsDir, `${jobId}-result.json`));
  return result.status === "completed" ? exitCodes.ok : exitCodes.failed;
}

/** Submits over HTTP; waiting is following the job's events. */
async function submitToUrl(
  document: JobDocument,
  flags: SubmitFlags,
  terminal: Terminal,
): Promise<number> {
  const client = await openClient(flags);
  const wire = document.original ?? encodeJobDocument(document);
  const { jobId, warnings } = await client.submitDocument(Object(wire) as object);
  for (const warning of warnings) terminal.note(warning);
  if (flags.wait !== true) {
    if (terminal.isJson) terminal.printJson({ job_id: jobId, url: flags.url });
    else terminal.print(jobId);
    return exitCodes.ok;
  }
  const result = await watchJob(terminal, jobAtUrl(client, jobId));
  if (terminal.isJson) terminal.printJson(encodeJobResult(result));
  else printResult(terminal, result, `${flags.url}/jobs/${jobId}`);
  return result.status === "completed" ? exitCodes.ok : exitCodes.failed;
}

function documentFromFlags(flags: SubmitFlags): JobDocument {
  const { operation, data, id, priority, timeout, maxAttempts, idempotencyKey } = flags;
  if (operation === undefined) {
    throw new LongshoreError("CONFIG_ERROR", "Name a job file, or an --operation.");
  }
  return createJobDocument({
    operation,
    ...(data !== undefined && { data: parseData(data) }),
    ...(id !== undefined && { jobId: id }),
    execution: {
      ...(priority !== undefined && { priority }),
      ...(timeout !== undefined && { timeoutSeconds: timeout }),
      ...(maxAttempts !== undefined && { maxAttempts }),
      ...(idempotencyKey !== undefined && { idempotencyKey }),
    },
  });
}

async function documentFromFile(file: string): Promise<JobDocument> {
  const isJson = extname(file) === ".json";
  const body = await readFile(file).catch((error: unknown) => {
    throw new LongshoreError("NOT_FOUND", `The job file ${file} cannot be read.`, { cause: error });
  });
  const contentType = isJson ? "application/json" : "application/yaml";
  return parseJobDocument(body, { contentType }).document;
}

function parseData(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new LongshoreError("CONFIG_ERROR", "--data is not JSON.", { cause: error });
  }
}

function printResult(terminal: Terminal, result: JobResult, place: string): void {
  const { status, jobId, executionSummary, error, data, stdout, outputs } = result;
  terminal.print(`${colourState(status)}  ${jobId}  ${executionSummary.durationMs} ms`);
  if (error !== undefined) terminal.print(`${error.code}: ${error.message}`);
  if (data !== undefined) terminal.print(JSON.stringify(data, null, 2));
  else if (stdout !== undefined) terminal.print(stdout.trimEnd());
  for (const artifact of outputs?.artifacts ?? []) {
    terminal.print(`artifact ${artifact.path} (${artifact.size} bytes)`);
  }
  terminal.print(place);
}
