import { constants } from "node:buffer";
import type { HandlerContext } from "@longshore/core";

/** How programs of one runtime are started. */
export interface ProcessRuntime {
  /** Program and first arguments; the job's `cmd` follows. Empty: `cmd` itself is the program */
  readonly command: readonly string[];
  /** How `limits.memory_mb` is kept: as address space, or as heap of V8, for Node only. @default "address-space" */
  readonly memoryLimit?: "address-space" | "v8-heap" | undefined;
}

export interface ProcessHandlerOptions {
  /** Added to the built-in ones (`shell`, `python`, `node`, `native`, `perl`, `ruby`, `r`), by normalised name */
  readonly runtimes?: Readonly<Record<string, ProcessRuntime>> | undefined;
  /** Variables of the host's own for a job, e.g. `WORKER_API_URL` and a `WORKER_API_TOKEN` made for it */
  readonly environment?:
    | ((context: HandlerContext) => Readonly<Record<string, string>>)
    | undefined;
  /** Whether lines of output become log events of the job: at most 10 a second, the others are counted. @default "lines" */
  readonly logOutput?: "lines" | "none" | undefined;
  /** Milliseconds from SIGTERM to SIGKILL. @default 5_000 */
  readonly killGraceMs?: number | undefined;
  /** Bytes of standard output kept of a job; it may ask for less, not for more. @default 10_485_760 */
  readonly maxStdoutBytes?: number | undefined;
  /** The same of standard error. @default 10_485_760 */
  readonly maxStderrBytes?: number | undefined;
  /** MiB of memory when the job does not say. @default none */
  readonly memoryMb?: number | undefined;
  /** Processes and threads when the job does not say; impossible for jobs of root. @default none */
  readonly pids?: number | undefined;
  /** Seconds of run time behind a job's CPU limit when it has no time limit of its own. @default 300 */
  readonly timeoutSeconds?: number | undefined;
  /** Bytes of all `runtime.files` of a job. @default 16_777_216 */
  readonly maxFileBytes?: number | undefined;
  /** Run a job without the limits it asks for where they cannot be kept. @default false: refuse it */
  readonly ignoreMissingLimits?: boolean | undefined;
}

export const builtInRuntimes: Readonly<Record<string, ProcessRuntime>> = {
  shell: { command: ["sh"] },
  python: { command: ["python3"] },
  node: { command: [process.execPath], memoryLimit: "v8-heap" },
  native: { command: [] },
  perl: { command: ["perl"] },
  ruby: { command: ["ruby"] },
  r: { command: ["Rscript"] },
};

/** A timer that is set to more fires at once. */
const maxTimerMs = 2_147_483_647;

/** @throws {RangeError} for a number that cannot be meant */
export function assertOptions(options: ProcessHandlerOptions): void {
  const ranges = {
    killGraceMs: [0, maxTimerMs],
    // All that is kept becomes one string.
    maxStdoutBytes: [0, constants.MAX_STRING_LENGTH],
    maxStderrBytes: [0, constants.MAX_STRING_LENGTH],
    maxFileBytes: [0, Number.MAX_SAFE_INTEGER],
    memoryMb: [1, Number.MAX_SAFE_INTEGER],
    pids: [1, Number.MAX_SAFE_INTEGER],
    timeoutSeconds: [1, Number.MAX_SAFE_INTEGER],
  } as const;
  for (const name of Object.keys(ranges) as (keyof typeof ranges)[]) {
    const value = options[name];
    const [least, most] = ranges[name];
    if (value === undefined) continue;
    if (value >= least && value <= most && Number.isInteger(value)) continue;
    throw new RangeError(`${name} must be a whole number from ${least} to ${most}, got ${value}`);
  }
}
