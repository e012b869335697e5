import { activeTraceparent, type HandlerContext, type JobRuntime } from "@longshore/core";

const inherited = ["PATH", "LANG", "TZ"];
const defaultPath = "/usr/local/bin:/usr/bin:/bin";

export interface EnvironmentParts {
  readonly runtime: JobRuntime;
  readonly artifactsDir: string;
  /** Variables with the job's parameters */
  readonly params: Readonly<Record<string, string>>;
  /** Variables of the host program */
  readonly host: Readonly<Record<string, string>>;
}

/**
 * What a process finds in its environment. Nothing of the worker's own but where programs are, and the locale; then the
 * job's `env`, and last what a job cannot change.
 */
export function processEnvironment(
  context: HandlerContext,
  { runtime, artifactsDir, params, host }: EnvironmentParts,
): Record<string, string> {
  const env: Record<string, string> = { PATH: defaultPath, HOME: context.workDir };
  for (const name of inherited) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  for (const [name, value] of Object.entries(runtime.env ?? {})) {
    if (value === null) delete env[name];
    else env[name] = String(value);
  }
  const traceparent = activeTraceparent() ?? context.document.observability?.traceparent;
  return {
    ...env,
    ...params,
    ...host,
    WORKER_JOB_ID: context.jobId,
    WORKER_OPERATION: context.operation,
    WORKER_ATTEMPT: String(context.attempt),
    WORKER_ID: context.workerId,
    WORKER_WORK_DIR: context.workDir,
    WORKER_ARTIFACTS_DIR: artifactsDir,
    ...(traceparent !== undefined && { TRACEPARENT: traceparent }),
  };
}
