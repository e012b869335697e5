import { LongshoreError } from "../errors/longshore-error.ts";
import type { SignalName } from "./signal-name.ts";

export interface CommandFailure {
  readonly command: readonly string[];
  readonly exitCode: number;
  readonly signal?: SignalName | undefined;
  readonly stdoutTail: string;
  readonly stderrTail: string;
}

/** A command ended with another exit code than 0, and its caller had asked for that to be an error. */
export class CommandError extends LongshoreError {
  override readonly name: string = "CommandError";
  /** Program and arguments; not in `details`, because arguments may be secret */
  readonly command: readonly string[];
  /** 128 + n after signal n */
  readonly exitCode: number;
  readonly signal: SignalName | undefined;
  /** At most the last 4,096 bytes */
  readonly stdoutTail: string;
  /** At most the last 4,096 bytes */
  readonly stderrTail: string;

  constructor({ command, exitCode, signal, stdoutTail, stderrTail }: CommandFailure) {
    const lastLine = stderrTail.trimEnd().split("\n").at(-1)?.trim().slice(0, 500) ?? "";
    const how = signal === undefined ? `exit code ${exitCode}` : signal;
    super(
      "NON_ZERO_EXIT",
      `"${command[0] ?? ""}" ended with ${how}${lastLine === "" ? "." : `: ${lastLine}`}`,
      {
        phase: "execution",
        details: { exitCode, ...(signal !== undefined && { signal }), stdoutTail, stderrTail },
      },
    );
    this.command = command;
    this.exitCode = exitCode;
    this.signal = signal;
    this.stdoutTail = stdoutTail;
    this.stderrTail = stderrTail;
  }
}
