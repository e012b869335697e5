import { LongshoreError } from "../errors/longshore-error.ts";
import type { JobRuntime } from "../job/job-document.ts";

const defaultMaxBytes = 10_485_760;

/** Bytes of a process's output that are kept. */
export interface OutputLimits {
  readonly maxStdoutBytes: number;
  readonly maxStderrBytes: number;
}

/**
 * What a job asks for, or else what the host gives it. The host's numbers are also the most there is: the output is held
 * in the worker's own memory.
 *
 * @throws {LongshoreError} `LIMIT_EXCEEDED`
 */
export function outputLimits(
  runtime: JobRuntime,
  options: { readonly [Name in keyof OutputLimits]?: OutputLimits[Name] | undefined },
): OutputLimits {
  const limitOf = (name: keyof OutputLimits, wireName: string): number => {
    const most = options[name] ?? defaultMaxBytes;
    const wanted = runtime.limits?.[name] ?? most;
    if (wanted <= most) return wanted;
    const path = `runtime.limits.${wireName}`;
    throw new LongshoreError(
      "LIMIT_EXCEEDED",
      `${path} is ${wanted}; this worker keeps at most ${most} bytes.`,
      { phase: "validation", details: { path, value: wanted, maximum: most } },
    );
  };
  return {
    maxStdoutBytes: limitOf("maxStdoutBytes", "max_stdout_bytes"),
    maxStderrBytes: limitOf("maxStderrBytes", "max_stderr_bytes"),
  };
}
