import { randomBytes } from "node:crypto";
import { chown, mkdir } from "node:fs/promises";
import {
  activeTraceparent,
  defineHandler,
  LongshoreError,
  type Handler,
  type HandlerContext,
  type JobRuntime,
} from "@longshore/core";
import { BoundedOutput, type CapturedOutput } from "./bounded-output.ts";
import { collectArtifacts } from "./collect-artifacts.ts";
import { commandLine } from "./command-line.ts";
import { artifactsDirOf, layDownFiles, startDirectory } from "./job-files.ts";
import { jobInput } from "./job-input.ts";
import { parseOutput } from "./parse-output.ts";
import type { ProcessHandlerOptions } from "./process-handler-options.ts";
import { startProcessGroup, type ProcessEnd } from "./process-group.ts";

const defaultMaxOutputBytes = 10_485_760;
const defaultMaxFileBytes = 16_777_216;
const assumedTimeoutSeconds = 300;

/**
 * Runs jobs of mode `process` as operating-system processes. This is not isolation: a process may do whatever the
 * worker's user may do, so the mode must be allowed by the worker's admission rules.
 */
export function processHandler(options: ProcessHandlerOptions = {}): Handler {
  return defineHandler({
    name: "process",
    operations: ["process.run"],
    execute: (context, payload) => runProcess(context, payload, options),
  });
}

async function runProcess(
  context: HandlerContext,
  payload: unknown,
  options: ProcessHandlerOptions,
): Promise<unknown> {
  const runtime: JobRuntime = { ...context.document.runtime, mode: "process" };
  const { workDir, signal } = context;
  const owner = ownerOf(runtime.user);
  const timeoutSeconds =
    runtime.limits?.maxRuntimeSeconds ??
    context.document.execution.timeoutSeconds ??
    assumedTimeoutSeconds;
  const command = await commandLine(runtime, options, timeoutSeconds);
  const artifactsDir = artifactsDirOf(workDir);
  await mkdir(artifactsDir);
  await layDownFiles(runtime, {
    workDir,
    maxBytes: options.maxFileBytes ?? defaultMaxFileBytes,
    owner,
  });
  const input = await jobInput(context, runtime, payload);
  if (owner !== undefined) {
    await chown(artifactsDir, owner.uid, owner.gid);
    const paramsFile = input.env["WORKER_PARAMS_FILE"];
    if (paramsFile !== undefined) await chown(paramsFile, owner.uid, owner.gid);
  }
  const cwd = await startDirectory(workDir, runtime.cwd);
  const token = `LONGSHORE_ATTEMPT=${randomBytes(16).toString("hex")}`;
  signal.throwIfAborted();

  const { child, ended } = startProcessGroup({
    ...command,
    cwd,
    env: environment({ context, runtime, artifactsDir, input: input.env, token }),
    ...owner,
    token,
    killGraceMs: options.killGraceMs ?? 5_000,
    signal,
  });
  const { limits } = runtime;
  const stdout = new BoundedOutput(
    child.stdout,
    limits?.maxStdoutBytes ?? options.maxStdoutBytes ?? defaultMaxOutputBytes,
  );
  const stderr = new BoundedOutput(
    child.stderr,
    limits?.maxStderrBytes ?? options.maxStderrBytes ?? defaultMaxOutputBytes,
  );
  child.stdin.on("error", () => {
    // A program need not read its input.
  });
  child.stdin.end(input.stdin);
  const heartbeat = (): void => {
    context.heartbeat();
  };
  child.stdout.on("data", heartbeat);
  child.stderr.on("data", heartbeat);

  const end = await ended.catch((error: unknown) => {
    throw cannotStart(error, command.program);
  });
  const output = stdout.capture();
  report(context, end, { output, errors: stderr.capture() });
  signal.throwIfAborted();
  assertSuccess(end);
  await collectArtifacts(context, runtime, artifactsDir);
  return parseOutput(output, runtime);
}

/** What a process finds in its environment. Nothing of the worker's own but where programs are, and the locale. */
function environment(parts: {
  context: HandlerContext;
  runtime: JobRuntime;
  artifactsDir: string;
  input: Readonly<Record<string, string>>;
  token: string;
}): Record<string, string> {
  const { context, runtime, artifactsDir, input, token } = parts;
  const env: Record<string, string> = { HOME: context.workDir };
  for (const name of ["PATH", "LANG", "TZ"]) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  for (const [name, value] of Object.entries(runtime.env ?? {})) {
    if (value === null) delete env[name];
    else if (String(value).includes("\0")) {
      throw new LongshoreError("VALIDATION_ERROR", `runtime.env.${name}: must not contain NUL`, {
        phase: "validation",
      });
    } else env[name] = String(value);
  }
  const traceparent = activeTraceparent() ?? context.document.observability?.traceparent;
  const [tokenName = "", tokenValue = ""] = token.split("=");
  return {
    ...env,
    ...input,
    WORKER_JOB_ID: context.jobId,
    WORKER_OPERATION: context.operation,
    WORKER_ATTEMPT: String(context.attempt),
    WORKER_ID: context.workerId,
    WORKER_WORK_DIR: context.workDir,
    WORKER_ARTIFACTS_DIR: artifactsDir,
    ...(traceparent !== undefined && { TRACEPARENT: traceparent }),
    [tokenName]: tokenValue,
  };
}

function report(
  context: HandlerContext,
  end: ProcessEnd,
  { output, errors }: { output: CapturedOutput; errors: CapturedOutput },
): void {
  context.report({
    ...(end.exitCode !== null && { exitCode: end.exitCode }),
    ...(end.signal !== null && { signal: end.signal }),
    stdout: output.text,
    stderr: errors.text,
    stdoutTruncated: output.isTruncated,
    stderrTruncated: errors.isTruncated,
    stdoutBytesTruncated: output.truncatedBytes,
    stderrBytesTruncated: errors.truncatedBytes,
  });
}

function assertSuccess({ exitCode, signal }: ProcessEnd): void {
  if (exitCode === 0) return;
  if (signal === "SIGXCPU" || signal === "SIGXFSZ") {
    throw new LongshoreError("LIMIT_EXCEEDED", `The process went over a limit and got ${signal}.`, {
      details: { signal },
    });
  }
  const how = signal === null ? `exited with code ${exitCode}` : `was ended by ${signal}`;
  throw new LongshoreError("NON_ZERO_EXIT", `The process ${how}.`, {
    details: { exitCode, signal },
  });
}

/** A numeric `uid` or `uid:gid`; only root may become somebody else. */
function ownerOf(user: string | undefined): { uid: number; gid: number } | undefined {
  if (user === undefined) return undefined;
  const [, uid, gid = uid] = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(user) ?? [];
  if (uid === undefined || process.getuid?.() !== 0) {
    throw new LongshoreError(
      "RUNTIME_NOT_SUPPORTED",
      uid === undefined
        ? `runtime.user must be a number, or two like 1000:1000; got "${user}".`
        : "Only a worker that runs as root can run a job as another user.",
      { phase: "validation" },
    );
  }
  return { uid: Number(uid), gid: Number(gid) };
}

function cannotStart(error: unknown, program: string): LongshoreError {
  const reason = error instanceof Error ? error.message : String(error);
  return new LongshoreError("EXECUTION_ERROR", `${program} could not be started: ${reason}`, {
    retryable: false,
    cause: error,
  });
}
