/** A command that runs programs of a runtime. */
export interface Interpreter {
  /** Normalised runtime name, e.g. `"python"` */
  readonly name: string;
  readonly path: string;
  /** As the command says it; absent when it does not tell */
  readonly version?: string | undefined;
}

/** A way to isolate jobs, and whether it works on this machine. */
export interface SandboxBackend {
  /** e.g. `"runc"`, `"kata"` */
  readonly name: string;
  readonly available: boolean;
  /** The available backend with the highest one is chosen for jobs that leave the choice open */
  readonly priority: number;
  /** Whether a job that leaves the choice open may get it */
  readonly autoSelectable: boolean;
  /** Why it is not available */
  readonly reason?: string | undefined;
}

/** A graphics processor that jobs may use. */
export interface GpuDevice {
  readonly vendor: string;
  readonly model: string;
  /** MiB */
  readonly memoryMb: number;
}

/** What a worker can run, and how much of it. `encodeCapabilities` gives the wire form. */
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
  readonly sandboxBackends: readonly SandboxBackend[];
  readonly devices: { readonly gpu?: readonly GpuDevice[] | undefined };
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
  /** Versions of the job protocol, e.g. `"1.0"` */
  readonly protocolVersions: readonly string[];
  /** Names of data that is near, e.g. of a site or a data set */
  readonly dataLocality: readonly string[];
  /** Whatever else an operator wants known */
  readonly extra: Readonly<Record<string, unknown>>;
}
