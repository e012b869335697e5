/** How programs of one runtime are started. */
export interface ProcessRuntime {
  /** Program and first arguments; the job's `cmd` follows. Empty: `cmd` itself is the program */
  readonly command: readonly string[];
  /** How `limits.memory_mb` is kept: as address space, or as V8's heap. @default "address-space" */
  readonly memoryLimit?: "address-space" | "v8-heap" | undefined;
}

export interface ProcessHandlerOptions {
  /** Added to `shell`, `python`, `node` and `native`, by normalised name */
  readonly runtimes?: Readonly<Record<string, ProcessRuntime>> | undefined;
  /** Time from SIGTERM to SIGKILL. @default 5_000 */
  readonly killGraceMs?: number | undefined;
  /** Bytes of output to keep when the job does not say. @default 10_485_760 */
  readonly maxStdoutBytes?: number | undefined;
  /** @default 10_485_760 */
  readonly maxStderrBytes?: number | undefined;
  /** MiB of memory when the job does not say. @default none */
  readonly memoryMb?: number | undefined;
  /** Processes when the job does not say; counted per user by the kernel, and not for root. @default none */
  readonly pids?: number | undefined;
  /** Bytes of all `runtime.files` of a job. @default 16_777_216 */
  readonly maxFileBytes?: number | undefined;
  /** Run a job without the limits it asks for when this machine cannot keep them. @default false: refuse it */
  readonly ignoreMissingLimits?: boolean | undefined;
}

export const builtInRuntimes: Readonly<Record<string, ProcessRuntime>> = {
  shell: { command: ["sh"] },
  python: { command: ["python3"] },
  node: { command: [process.execPath], memoryLimit: "v8-heap" },
  native: { command: [] },
};
