import { constants } from "node:os";
import {
  LongshoreError,
  type AttachSession,
  type ContainerStatus,
  type HandlerContext,
  type OutputLimits,
} from "@longshore/core";
import { containerEnd } from "./container-end.ts";
import type { ContainerHandlerOptions } from "./container-handler-options.ts";
import { jobOutput, type JobOutput } from "./job-output.ts";
import {
  chooseHandler,
  jobContainerConfig,
  jobSandboxConfig,
  type JobContainerParts,
} from "./job-sandbox.ts";
import type { PolicyGate } from "./policy-gate.ts";
import { removeEarlierAttempts } from "./sandbox-labels.ts";

export interface ContainerRunOptions {
  readonly options: ContainerHandlerOptions;
  readonly gate: PolicyGate;
  readonly parts: JobContainerParts;
  readonly stdin: string;
  readonly limits: OutputLimits;
}

export interface FinishedContainer {
  readonly status: ContainerStatus;
  readonly output: JobOutput;
}

/**
 * Runs a job's container to its end. However that comes, neither container nor sandbox are there afterwards.
 *
 * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED`, `POLICY_DENIED`, what the runtime throws, and the signal's reason
 */
export async function runContainer(
  context: HandlerContext,
  run: ContainerRunOptions,
): Promise<FinishedContainer> {
  const { options, gate, parts } = run;
  const { runtime } = options;
  const { signal } = context;
  const mode = parts.runtime.mode === "sandbox" ? "sandbox" : "image";
  const { backend } = parts.wishes;
  const runtimeHandler = await chooseHandler(runtime, mode, { options, backend, signal });
  await gate.assert("sandbox:*", "execute");
  await removeEarlierAttempts(runtime, context.jobId);
  const sandboxConfig = await jobSandboxConfig(context, parts);
  context.progress({ phase: "sandbox_start" });
  const podSandboxId = await runtime.runPodSandbox(
    { config: sandboxConfig, runtimeHandler },
    { signal },
  );
  try {
    await gate.assert("container:*", "execute");
    const config = jobContainerConfig(parts);
    const containerId = await runtime.createContainer(
      { podSandboxId, config, sandboxConfig },
      { signal },
    );
    return await runToEnd(context, containerId, run);
  } finally {
    // Not bound to the job's signal: whatever happened, nothing of it goes on.
    await runtime.removePodSandbox({ podSandboxId }).catch((error: unknown) => {
      // How the job ended matters more. What is left is removed before another attempt, or when a worker starts.
      context.logger.error({ err: error, podSandboxId }, "sandbox not removed");
    });
  }
}

async function runToEnd(
  context: HandlerContext,
  containerId: string,
  { options, gate, stdin, limits }: ContainerRunOptions,
): Promise<FinishedContainer> {
  const { runtime, killGraceMs = 5_000, logOutput = "lines" } = options;
  const { signal } = context;
  if (runtime.attach === undefined) {
    throw new LongshoreError(
      "RUNTIME_NOT_SUPPORTED",
      "The runtime cannot attach to a container, so a job could neither be fed nor heard.",
    );
  }
  await gate.assert(`container:${containerId}`, "execute");
  await using session = await runtime.attach({ containerId, stdin: true }, { signal });
  const output = jobOutput(context, session, { ...limits, logOutput });
  try {
    await runtime.startContainer({ containerId }, { signal });
  } catch (error) {
    // Its first words can come, and end the job, before the start is told: then it runs all the same.
    if (signal.aborted && (await isRunning(runtime, containerId))) {
      await stopAndReport(context, containerId, { runtime, output, killGraceMs });
    }
    throw error;
  }
  context.progress({ phase: "running" });
  void feed(session, stdin);
  try {
    const status = await containerEnd(runtime, containerId, signal);
    await output.ended;
    return { status, output };
  } catch (error) {
    await stopAndReport(context, containerId, { runtime, output, killGraceMs });
    throw error;
  }
}

async function isRunning(
  runtime: ContainerHandlerOptions["runtime"],
  containerId: string,
): Promise<boolean> {
  // One that is not there does not run; why the start failed matters more.
  const answer = await runtime.containerStatus({ containerId }).catch(() => undefined);
  return answer?.status.state === "running";
}

interface Stopping {
  readonly runtime: ContainerHandlerOptions["runtime"];
  readonly output: JobOutput;
  readonly killGraceMs: number;
}

/** Its own way to end first, as long as it is given; then all of it is killed. */
async function stopAndReport(
  context: HandlerContext,
  containerId: string,
  { runtime, output, killGraceMs }: Stopping,
): Promise<void> {
  try {
    await runtime.stopContainer({ containerId, timeout: Math.ceil(killGraceMs / 1_000) });
    await output.ended;
    const { status } = await runtime.containerStatus({ containerId });
    report(context, { status, output });
  } catch (stopError) {
    context.logger.error({ err: stopError, containerId }, "container not stopped");
  }
}

/** A program need not read its input, and may end before it has. */
async function feed({ stdin }: AttachSession, text: string): Promise<void> {
  try {
    if (text !== "") await stdin.write(text);
    await stdin.end();
  } catch {
    // The session is gone with its container; the status tells what became of it.
  }
}

/** Adds how the container ended to the job's result. */
export function report(context: HandlerContext, { status, output }: FinishedContainer): void {
  const [stdout, stderr] = [output.stdout(), output.stderr()];
  const signal = signalOf(status);
  context.report({
    exitCode: status.exitCode,
    ...(signal !== undefined && { signal }),
    ...(status.reason === "OOMKilled" && { oomKilled: true }),
    stdout: stdout.text,
    stderr: stderr.text,
    stdoutTruncated: stdout.isTruncated,
    stderrTruncated: stderr.isTruncated,
    stdoutBytesTruncated: stdout.truncatedBytes,
    stderrBytesTruncated: stderr.truncatedBytes,
  });
}

/** @throws {LongshoreError} `OOM_KILLED`, `NON_ZERO_EXIT`, `EXECUTION_ERROR` when nobody knows how it ended */
export function assertSuccess(status: ContainerStatus): void {
  const { state, exitCode, reason, message } = status;
  if (state === "unknown") {
    throw new LongshoreError("EXECUTION_ERROR", "The runtime lost track of the container.");
  }
  if (reason === "OOMKilled") {
    throw new LongshoreError("OOM_KILLED", "The container used more memory than it may have.", {
      details: { exitCode },
    });
  }
  if (exitCode === 0) return;
  const signal = signalOf(status);
  const how = signal === undefined ? `exited with code ${exitCode}` : `was ended by ${signal}`;
  throw new LongshoreError("NON_ZERO_EXIT", `The container ${how}.`, {
    details: { exitCode, signal: signal ?? null, reason: reason ?? null, message: message ?? null },
  });
}

function signalOf({ exitCode }: ContainerStatus): string | undefined {
  const known = Object.entries(constants.signals);
  return known.find(([, number]) => number === exitCode - 128)?.[0];
}
