import type { Abortable } from "../abortable.ts";
import type { AuthConfig } from "../image/image.ts";
import type { ImageClient, PullProgress } from "../image/image-client.ts";
import type { ExecSession, TerminalSize } from "./exec-session.ts";
import type { SandboxFiles } from "./sandbox-files.ts";
import type { SignalName } from "./signal-name.ts";

/** How a sandbox is to be made. The signal belongs to the opening alone. */
export interface SandboxOptions extends Abortable {
  /** Image whose files the sandbox has */
  readonly image: string;
  /** Store to pull the image into; without it the image must be there already */
  readonly images?: ImageClient | undefined;
  /** @default "missing" */
  readonly pull?: "always" | "missing" | "never" | undefined;
  readonly auth?: AuthConfig | undefined;
  readonly onPullProgress?: ((progress: PullProgress) => void) | undefined;
  /** Kind of sandbox, e.g. `"runc"` or `"kata"`. @default "" (the runtime's default) */
  readonly runtimeHandler?: string | undefined;
  /** MiB. @default no limit */
  readonly memoryMb?: number | undefined;
  /** Processors, fractions allowed. @default no limit */
  readonly cpus?: number | undefined;
  /** Processes at one time; needs cgroup v2. @default no limit */
  readonly pids?: number | undefined;
  /** Nothing but loopback, or what the runtime gives to pods. @default "none" */
  readonly network?: "none" | "bridge" | undefined;
  /** Whether the image's files are read-only. @default false */
  readonly readonlyRootfs?: boolean | undefined;
  /** Environment of every command, added to the image's */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Working directory of every command. @default the image's */
  readonly cwd?: string | undefined;
  /** `uid` or `uid:gid`, or a user name of the image. @default the image's */
  readonly user?: string | undefined;
  /** Host directories or files to show inside */
  readonly mounts?: readonly SandboxMount[] | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Part of the sandbox's name. @default "sandbox" */
  readonly name?: string | undefined;
  /** Process that holds the sandbox open. It must not end by itself. @default ["sleep", "infinity"] */
  readonly command?: readonly string[] | undefined;
}

export interface SandboxMount {
  readonly hostPath: string;
  readonly path: string;
  /** @default true */
  readonly readonly?: boolean | undefined;
}

export interface CommandOptions {
  /** Added to the sandbox's; the same name replaces */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** @default the sandbox's */
  readonly cwd?: string | undefined;
  /** @default the sandbox's */
  readonly user?: string | undefined;
}

/** An abort kills the command and what it started, waits for that, and rejects with the signal's reason. */
export interface RunOptions extends CommandOptions, Abortable {
  /** Time after which the command is killed. @default none */
  readonly timeoutMs?: number | undefined;
  /** @default nothing: the command reads the end at once */
  readonly stdin?: string | Uint8Array | AsyncIterable<string | Uint8Array> | undefined;
  /** Bytes kept of each output; the rest is counted and thrown away. @default 10_485_760 */
  readonly maxOutputBytes?: number | undefined;
}

/** How a command ended; fits a job's outcome as it is. */
export interface RunResult {
  /** 128 + n after signal n */
  readonly exitCode: number;
  readonly signal?: SignalName | undefined;
  /** Decoded as UTF-8 and never cut inside a character */
  readonly stdout: string;
  readonly stderr: string;
  readonly stdoutTruncated: boolean;
  readonly stderrTruncated: boolean;
  /** Bytes left out of `stdout` */
  readonly stdoutBytesTruncated: number;
  readonly stderrBytesTruncated: number;
}

/** The signal belongs to the start alone. */
export interface SpawnOptions extends CommandOptions, Abortable {
  /** Runs the command in a terminal. @default false */
  readonly tty?: boolean | undefined;
  readonly terminalSize?: TerminalSize | undefined;
  /** `"ignore"` throws the output away, for a command that nobody reads. @default "pipe" */
  readonly output?: "pipe" | "ignore" | undefined;
}

/**
 * A place of its own to run commands in. Commands may run at the same time. Disposing kills them all and removes the
 * sandbox with its files; it is idempotent and waits until everything is gone.
 *
 * Once the sandbox is gone, or its holding process has ended, commands reject with `SANDBOX_INVALID_STATE` or
 * `SANDBOX_NOT_FOUND`.
 */
export interface Sandbox extends AsyncDisposable {
  /** The runtime's id of the sandbox */
  readonly id: string;
  /** The runtime's id of the container in it */
  readonly containerId: string;
  readonly files: SandboxFiles;
  /**
   * Runs a command to its end. An exit code other than 0 is an answer, not an error. What the command leaves running in
   * the background is killed; use `spawn` for what is to stay.
   *
   * @param command program and arguments; no shell reads them
   * @throws {LongshoreError} `TIMEOUT` with what was printed so far in `details.stdout` and `details.stderr` (at most the
   *   last 4,000 characters); `EXECUTION_ERROR` when the command cannot be started
   */
  run(command: readonly string[], options?: RunOptions): Promise<RunResult>;
  /**
   * Starts a command and resolves once it runs. Read its output, or ask for none: a process whose output nobody reads
   * stops when the buffers are full.
   *
   * @param command program and arguments; no shell reads them
   * @throws {LongshoreError} `EXECUTION_ERROR` when the command cannot be started
   */
  spawn(command: readonly string[], options?: SpawnOptions): Promise<ExecSession>;
}
