import { LongshoreError } from "../errors/longshore-error.ts";
import type { ExecRequest, ExecSession, ProcessExit } from "./exec-session.ts";
import { feedStdin } from "./feed-stdin.ts";
import { outputCapture, type OutputCapture } from "./output-capture.ts";
import { outputFlow, type CutOff, type OutputFlow } from "./output-flow.ts";
import type { RuntimeClient } from "./runtime-client.ts";
import type { CommandOptions, OutputName } from "./sandbox-process.ts";

/** A command that has ended, and what it printed. */
export interface FinishedCommand {
  readonly exit: ProcessExit;
  readonly stdout: OutputCapture;
  readonly stderr: OutputCapture;
}

/** A command on its way. Nobody needs to look at its promises. */
export interface RunningCommand extends Readonly<Record<OutputName, OutputFlow>> {
  readonly session: Promise<ExecSession>;
  /** Resolves when the process is gone and its outputs were read to their ends. */
  readonly finished: Promise<FinishedCommand>;
  /** Reads the outputs that nobody has taken. */
  collect(): void;
  /** Kills the command, once it has started, with all that it started. That is no error for its readers. Idempotent. */
  giveUp(): Promise<void>;
}

export interface CommandLimits extends Pick<
  CommandOptions,
  "timeoutMs" | "stdin" | "maxOutputBytes" | "signal"
> {
  /** Sees each chunk before its reader, which waits for it, and the end as `undefined` */
  readonly onOutput?:
    | ((name: OutputName, chunk: Uint8Array | undefined) => void | Promise<void>)
    | undefined;
  /** Whether what the command leaves running is killed at its end. @default false */
  readonly killsBackground?: boolean | undefined;
}

/** A timer cannot wait longer. */
export const maxTimeoutMs: number = 2 ** 31 - 1;

/**
 * Runs a command in a container to its end, and kills what it leaves running. After a time-out, an abort or any other
 * error it is killed and gone.
 *
 * @throws {LongshoreError} `TIMEOUT`, and what `RuntimeClient.exec` throws
 */
export function runCommand(
  runtime: Pick<RuntimeClient, "exec">,
  request: ExecRequest,
  limits: CommandLimits = {},
): Promise<FinishedCommand> {
  const command = startCommand(runtime, request, { ...limits, killsBackground: true });
  command.collect();
  return command.finished;
}

/** Starts a command in a container. Its outputs wait for a reader, or for `collect`. */
export function startCommand(
  runtime: Pick<RuntimeClient, "exec">,
  request: ExecRequest,
  limits: CommandLimits = {},
): RunningCommand {
  const { maxOutputBytes = 10_485_760, onOutput } = limits;
  const captures = {
    stdout: outputCapture(maxOutputBytes),
    stderr: outputCapture(maxOutputBytes),
  };
  const life = commandLife(request, limits, captures);
  let isGivenUp = false;
  const session = open(runtime, request, { ...limits, life });
  session.catch(() => undefined);
  const flow = (name: OutputName): OutputFlow =>
    outputFlow(
      session.then((one) => one[name]),
      {
        name,
        failure: life.failure,
        isGivenUp: () => isGivenUp,
        look(chunk) {
          if (chunk !== undefined) captures[name].add(chunk);
          return onOutput?.(name, chunk);
        },
      },
    );
  const flows = { stdout: flow("stdout"), stderr: flow("stderr") };

  const finish = async (): Promise<FinishedCommand> => {
    const { stdin, killsBackground = false } = limits;
    const running = await session;
    try {
      const all = [running.exit, flows.stdout.ended, flows.stderr.ended, feedStdin(running, stdin)];
      const [exit] = await life.whileAlive(Promise.all(all) as Promise<[ProcessExit]>);
      if (killsBackground) await running[Symbol.asyncDispose]();
      return { exit, ...captures };
    } catch (error) {
      const reason = life.fail(error);
      await running[Symbol.asyncDispose]();
      throw reason;
    }
  };
  const finished = finish();
  finished.catch(() => undefined);
  return {
    ...flows,
    session,
    finished,
    collect() {
      flows.stdout.collect();
      flows.stderr.collect();
    },
    async giveUp() {
      isGivenUp = true;
      // Never started: nothing to kill.
      const running = await session.catch(() => undefined);
      await running?.[Symbol.asyncDispose]();
    },
  };
}

/** What may end a command before its time. */
interface CommandLife {
  readonly signal: AbortSignal;
  /** The promise's outcome, or the abort's reason when that comes first. */
  whileAlive<Value>(promise: Promise<Value>): Promise<Value>;
  /** Puts down why the command ends, before it is killed. Returns what its caller is told. */
  fail(error: unknown): unknown;
  failure(): CutOff | undefined;
}

function commandLife(
  { cmd }: ExecRequest,
  { timeoutMs, signal }: CommandLimits,
  captures: Readonly<Record<OutputName, OutputCapture>>,
): CommandLife {
  // A time-out that makes no sense is refused before the start.
  const deadline =
    timeoutMs !== undefined && isTimeout(timeoutMs)
      ? AbortSignal.timeout(Math.ceil(timeoutMs))
      : undefined;
  const end = AbortSignal.any([signal, deadline].filter((one) => one !== undefined));
  let cut: CutOff | undefined;
  const told = (error: unknown): unknown => {
    if (deadline?.aborted !== true || signal?.aborted === true) return error;
    return new LongshoreError(
      "TIMEOUT",
      `"${cmd[0] ?? ""}" was killed after its ${timeoutMs} ms.`,
      {
        phase: "execution",
        details: { timeoutMs, stdout: captures.stdout.tail(), stderr: captures.stderr.tail() },
        cause: error,
      },
    );
  };
  return {
    signal: end,
    failure: () => cut,
    fail(error) {
      cut ??= { reason: told(error) };
      return cut.reason;
    },
    async whileAlive(promise) {
      const stop = Promise.withResolvers<never>();
      const onAbort = (): void => stop.reject(end.reason);
      end.addEventListener("abort", onAbort, { once: true });
      if (end.aborted) onAbort();
      // The loser of the race may still fail, while the session is disposed.
      promise.catch(() => undefined);
      stop.promise.catch(() => undefined);
      try {
        return await Promise.race([promise, stop.promise]);
      } finally {
        end.removeEventListener("abort", onAbort);
      }
    },
  };
}

async function open(
  runtime: Pick<RuntimeClient, "exec">,
  request: ExecRequest,
  { life, stdin, timeoutMs }: CommandLimits & { readonly life: CommandLife },
): Promise<ExecSession> {
  const { signal } = life;
  try {
    if (timeoutMs !== undefined && !isTimeout(timeoutMs)) {
      throw new RangeError(
        `timeoutMs must be above 0 and at most ${maxTimeoutMs}, got ${timeoutMs}`,
      );
    }
    signal.throwIfAborted();
    return await runtime.exec(
      { ...request, stdin: request.stdin ?? stdin !== undefined },
      { signal },
    );
  } catch (error) {
    throw life.fail(error);
  }
}

function isTimeout(timeoutMs: number): boolean {
  return timeoutMs > 0 && timeoutMs <= maxTimeoutMs;
}
