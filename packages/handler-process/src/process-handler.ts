import {
  artifactMatcher,
  artifactsDirOf,
  BoundedOutput,
  collectArtifacts,
  defineHandler,
  give,
  jobInput,
  layDownFiles,
  LongshoreError,
  onLine,
  outputLimits,
  parseOutput,
  startDirectory,
  type CapturedOutput,
  type Handler,
  type HandlerContext,
  type JobRuntime,
  type OutputLimits,
} from "@longshore/core";
import { commandLine } from "./command-line.ts";
import { assertReachable, jobUser } from "./job-user.ts";
import { killOrphans } from "./leftovers.ts";
import { processEnvironment } from "./process-environment.ts";
import { startProcessGroup, type ProcessEnd, type ProcessGroup } from "./process-group.ts";
import { assertOptions, type ProcessHandlerOptions } from "./process-handler-options.ts";
import { findSystemTools, type SystemTools } from "./system-tools.ts";

const defaultMaxFileBytes = 16_777_216;

/**
 * Runs jobs of mode `process` as operating-system processes. This is not isolation: a process may do whatever the
 * worker's user may do, so the mode must be allowed by the worker's admission rules.
 *
 * @throws {RangeError} for options that cannot be meant
 */
export function processHandler(options: ProcessHandlerOptions = {}): Handler {
  assertOptions(options);
  let tools: Promise<SystemTools> | undefined;
  return defineHandler({
    name: "process",
    operations: ["process.run"],
    // What a worker that was killed left running would be in the way of the jobs it left behind.
    setup: killOrphans,
    async execute(context, payload) {
      tools ??= findSystemTools();
      return runProcess(context, payload, { options, tools: await tools });
    },
  });
}

async function runProcess(
  context: HandlerContext,
  payload: unknown,
  { options, tools }: { readonly options: ProcessHandlerOptions; readonly tools: SystemTools },
): Promise<unknown> {
  const { signal, workDir } = context;
  const runtime = assertMode(context.document.runtime);
  const user = jobUser(runtime.user);
  // Before anything runs: globs that cannot be matched are no reason to fail afterwards.
  const globs = runtime.output?.artifacts ?? [];
  const isArtifact = artifactMatcher(globs);
  const limits = outputLimits(runtime, options);
  if (user !== undefined) await assertReachable(workDir, user);
  const artifactsDir = artifactsDirOf(workDir);
  const maxBytes = options.maxFileBytes ?? defaultMaxFileBytes;
  await layDownFiles(runtime, { workDir, maxBytes, user });
  const cwd = await startDirectory(workDir, runtime.cwd, user);
  const input = await jobInput(context, runtime, { payload });
  const paramsFile = input.env["WORKER_PARAMS_FILE"];
  if (paramsFile !== undefined) await give(paramsFile, workDir, user);
  const host = options.environment?.(context) ?? {};
  const env = processEnvironment(context, { runtime, artifactsDir, params: input.env, host });
  const command = await commandLine(runtime, {
    options,
    tools,
    timeoutSeconds: timeoutSecondsOf(context, options),
    cwd,
    path: env["PATH"] ?? "",
    uid: user?.uid ?? process.getuid?.() ?? 0,
  });

  const group = await startProcessGroup({
    ...command,
    cwd,
    env,
    ...user,
    killGraceMs: options.killGraceMs ?? 5_000,
    signal,
  }).catch((error: unknown) => {
    signal.throwIfAborted();
    throw cannotStart(error, command.program);
  });
  const { stdout, stderr } = listen(context, group, { ...limits, logOutput: options.logOutput });
  group.child.stdin.end(input.stdin);
  const end = await group.ended;
  const output = stdout.capture();
  report(context, end, { output, errors: stderr.capture() });
  signal.throwIfAborted();
  assertSuccess(end);
  if (globs.length > 0) await collectArtifacts(context, artifactsDir, isArtifact);
  return parseOutput(output, runtime);
}

/** The mode is what admission rules allow or refuse: a document without it must not get here by its operation's name. */
function assertMode(runtime: JobRuntime | undefined): JobRuntime {
  if (runtime?.mode === "process") return runtime;
  throw new LongshoreError(
    "RUNTIME_NOT_SUPPORTED",
    `Processes are only run for runtime.mode "process", not "${runtime?.mode ?? "handler"}".`,
    { phase: "validation" },
  );
}

function timeoutSecondsOf({ document }: HandlerContext, options: ProcessHandlerOptions): number {
  const seconds = Math.min(
    document.runtime?.limits?.maxRuntimeSeconds ?? Infinity,
    document.execution.timeoutSeconds ?? Infinity,
  );
  return Number.isFinite(seconds) ? seconds : (options.timeoutSeconds ?? 300);
}

/** Both streams at once: a process that fills the one nobody reads would stand still. */
function listen(
  context: HandlerContext,
  { child }: ProcessGroup,
  options: OutputLimits & Pick<ProcessHandlerOptions, "logOutput">,
): { readonly stdout: BoundedOutput; readonly stderr: BoundedOutput } {
  const heartbeat = (): void => {
    context.heartbeat();
  };
  child.stdin.on("error", () => {
    // A program need not read its input.
  });
  child.stdout.on("data", heartbeat);
  child.stderr.on("data", heartbeat);
  if ((options.logOutput ?? "lines") === "lines") {
    const isText = (context.document.runtime?.output?.format ?? "text") === "text";
    if (isText)
      onLine(child.stdout, (line) => {
        context.log(line, { stream: "stdout" });
      });
    onLine(child.stderr, (line) => {
      context.log(line, { stream: "stderr" });
    });
  }
  return {
    stdout: new BoundedOutput(child.stdout, options.maxStdoutBytes),
    stderr: new BoundedOutput(child.stderr, options.maxStderrBytes),
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

function cannotStart(error: unknown, program: string): LongshoreError {
  const reason = error instanceof Error ? error.message : String(error);
  return new LongshoreError("EXECUTION_ERROR", `${program} could not be started: ${reason}`, {
    retryable: false,
    cause: error,
  });
}
