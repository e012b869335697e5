import type { HandlerContext } from "@longshore/core";

/** How programs of one runtime are started. */
export interface ProcessRuntime {
  /** Program and first arguments; the job's `cmd` follows. Empty: `cmd` itself is the program */
  readonly command: readonly string[];
  /** How `limits.memory_mb` is kept: as address space, or as V8's heap. @default "address-space" */
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
  /** Time from SIGTERM to SIGKILL. @default 5_000 */
  readonly killGraceMs?: number | undefined;
  /** Bytes of output to keep when the job does not say. @default 10_485_760 */
  readonly maxStdoutBytes?: number | undefined;
  /** @default 10_485_760 */
  readonly maxStderrBytes?: number | undefined;
  /** MiB of memory when the job does not say. @default none */
  readonly memoryMb?: number | undefined;
  /** Processes and threads when the job does not say; impossible for jobs of root. @default none */
  readonly pids?: number | undefined;
  /** Run time behind a job's CPU limit when it has no time limit of its own. @default 300 */
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

/** @throws {RangeError} for a number that cannot be meant */
export function assertOptions(options: ProcessHandlerOptions): void {
  const least = {
    killGraceMs: 0,
    maxStdoutBytes: 0,
    maxStderrBytes: 0,
    maxFileBytes: 0,
    memoryMb: 1,
    pids: 1,
    timeoutSeconds: 1,
  };
  for (const [name, minimum] of Object.entries(least)) {
    const value = options[name as keyof typeof least];
    if (value !== undefined && !(value >= minimum)) {
      throw new RangeError(`${name} must be ${minimum} or more, got ${value}`);
    }
  }
}
