/** A command that runs programs of a runtime. */
export interface Interpreter {
  /** Normalised runtime name, e.g. `"python"` */
  readonly name: string;
  readonly path: string;
  /** As the command says it; absent when it does not tell */
  readonly version?: string | undefined;
}

/** What a worker can run, and how much of it. */
export interface Capabilities {
  /** Runtimes of mode `process`, normalised */
  readonly runtimes: readonly string[];
  /** Versions found for each runtime */
  readonly runtimeVersions: Readonly<Record<string, readonly string[]>>;
  readonly interpreters: readonly Interpreter[];
  /** Operations and patterns of the registered handlers */
  readonly operations: readonly string[];
  readonly features: readonly string[];
  readonly formats: {
    readonly disk?: readonly string[] | undefined;
    readonly image?: readonly string[] | undefined;
  };
  readonly limits: {
    readonly maxConcurrentJobs: number;
    /** GiB */
    readonly maxDiskSizeGb?: number | undefined;
    /** MiB */
    readonly memoryMb: number;
    readonly cpus: number;
  };
  /** Whether the worker runs as root */
  readonly privileged: boolean;
  readonly workerVersion: string;
  readonly protocolVersions: readonly string[];
  readonly extra: Readonly<Record<string, unknown>>;
}
