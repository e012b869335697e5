import { chmod, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { LongshoreError } from "../errors/longshore-error.ts";
import type { JobOutcome } from "../job/job-result.ts";
import type { ValidationIssue } from "../job/validation-error.ts";
import type { Handler } from "./handler.ts";
import type { HandlerRun } from "./handler-run.ts";
import { defaultMaxResultBytes, toBoundedJson } from "./json-limit.ts";
import { LiveContext } from "./live-context.ts";

const maxIssues = 50;

export interface HandlerRunOutcome {
  readonly outcome: JobOutcome;
  /** Present exactly when the attempt failed */
  readonly error?: unknown;
}

/**
 * Runs a handler once: payload check, `execute`, result check, `cleanup`, removal of the work directory. Never rejects.
 * `cleanup` is called whenever the payload fitted; an error in it is logged and changes no outcome. Waits for the
 * handler however long it takes: whoever gives up on it says so with `isGivenUp`.
 */
export async function runHandler(run: HandlerRun): Promise<HandlerRunOutcome> {
  const context = new LiveContext(run);
  let data: unknown;
  let failure: { readonly error: unknown } | undefined;
  try {
    run.signal.throwIfAborted();
    const payload = await checkPayload(run.handler, run.document.payload.data);
    data = await execute(run, context, payload);
  } catch (error) {
    failure = { error: error ?? nothingThrown(run.handler) };
  }
  await context.end();
  if (context.usedWorkDir !== undefined) await removeWorkDir(run, context.usedWorkDir);
  if (failure !== undefined) return { outcome: context.outcome, error: failure.error };
  return { outcome: data === undefined ? context.outcome : { ...context.outcome, data } };
}

async function execute(run: HandlerRun, context: LiveContext, payload: unknown): Promise<unknown> {
  try {
    run.signal.throwIfAborted();
    const value = await run.handler.execute(context, payload);
    return await checkResult(run, value);
  } finally {
    await cleanUp(run, context);
  }
}

async function cleanUp({ handler, logger }: HandlerRun, context: LiveContext): Promise<void> {
  try {
    await handler.cleanup?.(context);
  } catch (error) {
    logger.error({ err: error, handler: handler.name }, "handler cleanup failed");
  }
}

async function removeWorkDir({ logger }: HandlerRun, workDir: string): Promise<void> {
  try {
    await removeTree(workDir);
  } catch (error) {
    logger.error({ err: error, workDir }, "work directory not removed");
  }
}

/** `throw undefined` is a failure too, and must not pass for none. */
function nothingThrown(handler: Handler): LongshoreError {
  return new LongshoreError(
    "EXECUTION_ERROR",
    `The handler "${handler.name}" failed without saying why.`,
  );
}

async function checkPayload(handler: Handler, data: unknown): Promise<unknown> {
  if (handler.payload === undefined) return data;
  const checked = await handler.payload["~standard"].validate(data);
  if (checked.issues === undefined) return checked.value;
  const issues = checked.issues.slice(0, maxIssues).map((issue) => toIssue("payload.data", issue));
  const [first] = issues;
  throw new LongshoreError(
    "VALIDATION_ERROR",
    `The payload does not fit "${handler.name}": ${first?.path ?? "payload.data"}: ${first?.message ?? "invalid"}`,
    { phase: "validation", details: { issues } },
  );
}

function toIssue(root: string, { path = [], message }: StandardSchemaV1.Issue): ValidationIssue {
  const keys = path.map((part) => {
    const key = typeof part === "object" ? part.key : part;
    return typeof key === "number" ? `[${key}]` : `.${String(key)}`;
  });
  return { path: [root, ...keys].join(""), code: "invalid", message };
}

async function checkResult({ handler, limits }: HandlerRun, value: unknown): Promise<unknown> {
  const checked = await handler.result?.["~standard"].validate(value);
  if (checked?.issues !== undefined) {
    throw new LongshoreError(
      "EXECUTION_ERROR",
      `The handler "${handler.name}" returned what its own schema refuses: ${checked.issues[0]?.message ?? ""}`,
      {
        phase: "result",
        retryable: false,
        details: {
          issues: checked.issues.slice(0, maxIssues).map((issue) => toIssue("data", issue)),
        },
      },
    );
  }
  const data = checked === undefined ? value : checked.value;
  if (data === undefined) return undefined;
  toBoundedJson(data, {
    what: `What the handler "${handler.name}" returned`,
    maxBytes: limits?.maxResultBytes ?? defaultMaxResultBytes,
  });
  return data;
}

/** Removes a directory, also when the handler left directories in it that may not be written. */
async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch {
    // Most likely a directory without write permission; the second try tells if it was something else.
    await makeWritable(path);
    await rm(path, { recursive: true, force: true });
  }
}

async function makeWritable(path: string): Promise<void> {
  await chmod(path, 0o700);
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.isDirectory()) await makeWritable(join(path, entry.name));
  }
}
