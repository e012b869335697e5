import type { ContainerRef, KeyValue } from "./container.ts";
import type { SignalName } from "./signal-name.ts";

/** Size of a terminal in characters. */
export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

/** A command to run in a running container. The last four fields are ours, not the CRI's. */
export interface ExecRequest extends ContainerRef {
  /** Program and arguments; no shell reads them */
  readonly cmd: readonly string[];
  /** A terminal; what goes to stderr arrives in stdout, and `stderr` must not be asked for. @default false */
  readonly tty?: boolean | undefined;
  /** Whether the command gets an input; else it reads its end at once. @default false */
  readonly stdin?: boolean | undefined;
  /** Whether output is wanted; else it is thrown away. @default true */
  readonly stdout?: boolean | undefined;
  /** @default true, false with `tty` */
  readonly stderr?: boolean | undefined;
  /** Added to the container's environment; the same key replaces */
  readonly envs?: readonly KeyValue[] | undefined;
  /** @default the container's */
  readonly workingDir?: string | undefined;
  /** `uid`, `uid:gid` or a name of the container's `/etc/passwd`. @default the container's */
  readonly user?: string | undefined;
  /** Size of the terminal at the start, with `tty` */
  readonly terminalSize?: TerminalSize | undefined;
}

/** A stream to attach to of a container's first process. */
export interface AttachRequest extends ContainerRef {
  /** Needs a container made with `stdin`. @default false */
  readonly stdin?: boolean | undefined;
  /** @default true */
  readonly stdout?: boolean | undefined;
  /** @default true, false for a container with a terminal */
  readonly stderr?: boolean | undefined;
}

export interface ExecSyncRequest extends ContainerRef {
  /** Program and arguments; no shell reads them */
  readonly cmd: readonly string[];
  /** Seconds, fractions allowed; afterwards the command is killed. @default 0 (no limit) */
  readonly timeout?: number | undefined;
}

export interface ExecSyncResponse {
  /** At most 16 MiB; what comes after is thrown away while the command goes on */
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  /** 128 + n after signal n */
  readonly exitCode: number;
}

/** How a process ended. */
export interface ProcessExit {
  /** 128 + n after signal n */
  readonly exitCode: number;
  /** Signal that ended it, where the runtime can tell */
  readonly signal?: SignalName | undefined;
}

/** Writes the input of a process. */
export interface InputWriter {
  /**
   * Resolves when more may be written. What is written after the process closed its input, or ended, is dropped: that
   * is for the process to decide, and no error.
   */
  write(chunk: string | Uint8Array): Promise<void>;
  /** Ends the input. Idempotent. */
  end(): Promise<void>;
}

/**
 * Streams to a process in a container, in this program: no URL, no second connection.
 *
 * Each output stream may be iterated once. Nothing is dropped: when a reader is slow the process waits, with at most
 * 1 MiB held for it; so a process that prints much stops until its output is read. Ask for no output, or read it. A
 * stream ends after the last byte, and at the latest 5 seconds after the process, though children of it hold on to it.
 */
export interface StreamSession extends AsyncDisposable {
  /** Takes nothing when no input was asked for */
  readonly stdin: InputWriter;
  /** Empty when not asked for */
  readonly stdout: AsyncIterable<Uint8Array>;
  /** Empty when not asked for, and with a terminal */
  readonly stderr: AsyncIterable<Uint8Array>;
  /** Tells the terminal its size; without a terminal nothing happens. */
  resize(size: TerminalSize): Promise<void>;
}

/** A command that runs in a container. Disposing kills it with all that it started, and waits until they are gone. */
export interface ExecSession extends StreamSession {
  /**
   * Resolves when the process is gone, however it ended and whether or not its output was read.
   *
   * Rejects with `RUNTIME_UNAVAILABLE` when its end cannot be learned; nobody needs to look.
   */
  readonly exit: Promise<ProcessExit>;
  /** Sends a signal to the process. No error when it has ended. @default "SIGTERM" */
  kill(signal?: SignalName): Promise<void>;
}

/** A watch on a container's first process. Disposing leaves; the process goes on. */
export type AttachSession = StreamSession;
