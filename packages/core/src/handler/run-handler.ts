import { chmod, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { LongshoreError } from "../errors/longshore-error.ts";
import type { JobDocument } from "../job/job-document.ts";
import type { JobOutcome } from "../job/job-result.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { ArtifactLimits } from "./artifact-writer.ts";
import type { Handler } from "./handler.ts";
import type { JobEventEmitter } from "./job-event-emitter.ts";
import { LiveContext } from "./live-context.ts";

export interface HandlerLimits extends ArtifactLimits {
  /** Size of the result's data as JSON. @default 8_388_608 */
  readonly maxResultBytes?: number | undefined;
}

/** One attempt of one job, with everything its handler may touch. */
export interface HandlerRun {
  readonly handler: Handler;
  readonly document: JobDocument;
  readonly attempt: number;
  readonly workerId: string;
  readonly signal: AbortSignal;
  readonly logger: Logger;
  /** Directory in which the attempt's own is made */
  readonly workRoot: string;
  readonly artifactsRoot: string;
  readonly checkpoint: unknown;
  readonly events: JobEventEmitter;
  saveCheckpoint(value: unknown): Promise<void>;
  readonly onHeartbeat?: (() => void) | undefined;
  /** Whether the handler was given up on: what it still does counts no more */
  readonly isGivenUp?: (() => boolean) | undefined;
  readonly limits?: HandlerLimits | undefined;
}

export interface HandlerRunOutcome {
  readonly outcome: JobOutcome;
  /** Present exactly when the attempt failed */
  readonly error?: unknown;
}

/**
 * Runs a handler once: payload check, `execute`, result check, `cleanup`, removal of the work directory. Never rejects.
 * An error in `cleanup` is logged and changes no outcome.
 */
export async function runHandler(run: HandlerRun): Promise<HandlerRunOutcome> {
  const { handler, document, signal, logger } = run;
  const context = new LiveContext(run);
  try {
    signal.throwIfAborted();
    const payload = await checkPayload(handler, document.payload.data);
    try {
      const value = await handler.execute(context, payload);
      const data = await checkResult(handler, value, run.limits?.maxResultBytes);
      return { outcome: { ...context.outcome, ...(data !== undefined && { data }) } };
    } finally {
      await cleanUp(run, context);
    }
  } catch (error) {
    return { outcome: context.outcome, error };
  } finally {
    context.end();
    if (context.usedWorkDir !== undefined) {
      await removeTree(context.usedWorkDir).catch((error: unknown) => {
        logger.error({ err: error, workDir: context.usedWorkDir }, "work directory not removed");
      });
    }
  }
}

async function cleanUp({ handler, logger }: HandlerRun, context: LiveContext): Promise<void> {
  try {
    await handler.cleanup?.(context);
  } catch (error) {
    logger.error({ err: error, handler: handler.name }, "handler cleanup failed");
  }
}

async function checkPayload(handler: Handler, data: unknown): Promise<unknown> {
  if (handler.payload === undefined) return data;
  const checked = await handler.payload["~standard"].validate(data);
  if (checked.issues === undefined) return checked.value;
  const [first] = checked.issues;
  const issues = checked.issues.slice(0, 50).map(toIssue);
  throw new LongshoreError(
    "VALIDATION_ERROR",
    `The payload does not fit "${handler.name}": ${issues[0]?.path ?? ""}: ${first?.message ?? "invalid"}`,
    { phase: "validation", details: { issues } },
  );
}

function toIssue({ path = [], message }: StandardSchemaV1.Issue) {
  const keys = path.map((part) => String(typeof part === "object" ? part.key : part));
  return { path: ["payload", "data", ...keys].join("."), code: "invalid", message };
}

async function checkResult(
  handler: Handler,
  value: unknown,
  maxResultBytes = 8_388_608,
): Promise<unknown> {
  const checked = await handler.result?.["~standard"].validate(value);
  if (checked?.issues !== undefined) {
    throw new LongshoreError(
      "EXECUTION_ERROR",
      `The handler "${handler.name}" returned what its own schema refuses: ${checked.issues[0]?.message ?? ""}`,
      { phase: "result", retryable: false, details: { issues: checked.issues.slice(0, 50) } },
    );
  }
  const data = checked === undefined ? value : checked.value;
  if (data === undefined) return undefined;
  const text = toJson(handler, data);
  if (text.length > maxResultBytes) {
    throw new LongshoreError(
      "LIMIT_EXCEEDED",
      `The result has ${text.length} characters; ${maxResultBytes} are allowed.`,
      { phase: "result", details: { maxResultBytes } },
    );
  }
  return data;
}

function toJson(handler: Handler, data: unknown): string {
  let cause: unknown;
  try {
    const text: unknown = JSON.stringify(data);
    if (typeof text === "string") return text;
  } catch (error) {
    cause = error;
  }
  throw new LongshoreError(
    "SERIALIZATION_ERROR",
    `The handler "${handler.name}" returned what JSON cannot hold.`,
    { phase: "result", cause },
  );
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
