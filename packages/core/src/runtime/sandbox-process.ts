import type { Abortable } from "../abortable.ts";
import type { InputWriter, ProcessExit, TerminalSize } from "./exec-session.ts";
import type { SignalName } from "./signal-name.ts";

export type OutputName = "stdout" | "stderr";

/** A piece of output. */
export interface OutputEvent {
  readonly stream: OutputName;
  /** UTF-8, never cut inside a character */
  readonly data: string;
}

/** A line of output. */
export interface OutputLine {
  readonly stream: OutputName;
  /** Without `\n` or `\r\n`; one of more than 1,048,576 characters comes in pieces */
  readonly line: string;
}

/** An abort, or the end of the time, kills the command with what it started, waits for that, and rejects. */
export interface CommandOptions extends Abortable {
  /** Added to the sandbox's; the same name replaces */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** @default the sandbox's */
  readonly cwd?: string | undefined;
  /** @default the sandbox's */
  readonly user?: string | undefined;
  /** Time after which the command is killed. @default none */
  readonly timeoutMs?: number | undefined;
  /** What the command reads. @default nothing: it reads the end at once */
  readonly stdin?: string | Uint8Array | AsyncIterable<string | Uint8Array> | undefined;
  /** Bytes kept of each output for the result; the rest is counted. @default 10_485_760 */
  readonly maxOutputBytes?: number | undefined;
  /** Sees the output as it comes; the command waits for a promise. What it throws kills the command and rejects. */
  readonly onStdout?: ((data: string) => void | Promise<void>) | undefined;
  readonly onStderr?: ((data: string) => void | Promise<void>) | undefined;
}

export type RunOptions = CommandOptions;

export interface SpawnOptions extends CommandOptions {
  /** Runs the command in a terminal; what it writes to stderr arrives in stdout. @default false */
  readonly tty?: boolean | undefined;
  readonly terminalSize?: TerminalSize | undefined;
  /** Whether `process.stdin` takes input; not together with `stdin`. @default false, true with `tty` */
  readonly openStdin?: boolean | undefined;
  /** `"ignore"` throws the output away, for a command that nobody reads. @default "pipe" */
  readonly output?: "pipe" | "ignore" | undefined;
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

/**
 * A command that runs in a sandbox, and its result to come: await it, iterate it, or both.
 *
 * **Awaiting** collects the output nobody has taken and resolves when the process is gone and its output read. Another
 * exit code than 0 is an answer; `orThrow` makes it an error.
 *
 * **Iterating** takes both outputs; `stdout` and `stderr` take one. An output has one reader, which must begin before the
 * handle is awaited. Nothing is dropped: the process waits for a slow reader, with at most 1 MiB held for it. A reader that
 * leaves its loop leaves the rest to be collected, so that the process goes on.
 *
 * So a process whose output nobody reads, awaits or ignores stops when 1 MiB is full.
 *
 * **The handle is thenable**: an `async` function that returns it, and `await` on it, give the result instead. Wait for
 * `started` where the start matters, and wrap the handle (`{ server }`) to hand it on.
 *
 * Every promise here may be left alone; an error nobody looks at is no unhandled rejection.
 *
 * Rejects with: `EXECUTION_ERROR` when the command cannot be started; `TIMEOUT`, with the ends of what was printed in
 * `details.stdout` and `details.stderr`; the signal's reason; what a source of input or a callback threw;
 * `SANDBOX_INVALID_STATE` or `SANDBOX_NOT_FOUND` when the sandbox is gone; `CANCELLED` when the handle was disposed before
 * the start.
 */
export interface SandboxProcess
  extends PromiseLike<RunResult>, AsyncIterable<OutputEvent>, AsyncDisposable {
  readonly command: readonly string[];
  /** Resolves once the command runs. */
  readonly started: Promise<void>;
  /** Resolves when the process is gone, whether or not its output was read. */
  readonly exit: Promise<ProcessExit>;
  readonly stdout: AsyncIterable<Uint8Array>;
  readonly stderr: AsyncIterable<Uint8Array>;
  /** Takes input with `openStdin`; rejects with a `TypeError` without */
  readonly stdin: InputWriter;
  /** Both outputs, line by line. */
  lines(): AsyncIterable<OutputLine>;
  /** Sends a signal to the process, once it runs. No error when it has ended. @default "SIGTERM" */
  kill(signal?: SignalName): Promise<void>;
  /** Tells the terminal its size; without a terminal nothing happens. */
  resize(size: TerminalSize): Promise<void>;
  /** As awaiting, but another exit code than 0 rejects. @throws {CommandError} */
  orThrow(): Promise<RunResult>;
  catch<Other = never>(
    onRejected: (reason: unknown) => Other | PromiseLike<Other>,
  ): Promise<RunResult | Other>;
  /** Kills the process with all that it started and waits until they are gone. Idempotent. */
  [Symbol.asyncDispose](): Promise<void>;
}
