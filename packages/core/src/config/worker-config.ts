import type { Taint } from "../capability/matches.ts";
import type { RuntimeMode } from "../job/job-document.ts";
import type { TransportConfig } from "../worker/worker-options.ts";

/** A complete configuration of the worker, with names in camelCase. `docs/config.md` describes every key. */
export interface WorkerConfig {
  readonly home: string;
  readonly logLevel: "trace" | "debug" | "info" | "warn" | "error";
  readonly worker: {
    readonly id: string;
    readonly pool: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly taints: readonly Taint[];
    readonly maxConcurrentJobs: number;
    readonly maxQueuedJobs: number;
    readonly taskTimeoutSeconds?: number | undefined;
    readonly shutdownTimeoutSeconds: number;
    readonly killGraceSeconds: number;
    readonly leaseSeconds: number;
    readonly workDir?: string | undefined;
    readonly resultsDir: string;
    readonly maxStdoutBytes: number;
    readonly maxStderrBytes: number;
    /** Seconds */
    readonly resultRetention: number;
    readonly capabilities: {
      readonly runtimes?: readonly string[] | undefined;
      readonly features?: readonly string[] | undefined;
      readonly formats?: { readonly disk?: readonly string[]; readonly image?: readonly string[] };
    };
    readonly trustDeclaredRuntimes: boolean;
  };
  readonly policy: {
    readonly rule: "allow-all" | "deny-all";
    readonly allowedModes: readonly RuntimeMode[];
    readonly allowedOperations: readonly string[];
    readonly allowedImages: readonly string[];
    readonly network: "none" | "egress" | "bridge";
    readonly allowedHosts: readonly string[];
    readonly requireSignature: boolean;
    readonly keysFile?: string | undefined;
    readonly defaults: ConfiguredLimits;
    readonly max: ConfiguredLimits & { readonly payloadBytes?: number };
  };
  readonly plugins: readonly string[];
  /** Each entry as the file has it: the transport checks it */
  readonly transports?: readonly TransportConfig[] | undefined;
}

interface ConfiguredLimits {
  readonly timeoutSeconds?: number;
  readonly memoryMb?: number;
  readonly cpus?: number;
  readonly pids?: number;
}

/** Where a value comes from, highest precedence first. */
export type ConfigSource = "flag" | "env" | "file" | "default";
