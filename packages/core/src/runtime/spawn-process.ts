import { StringDecoder } from "node:string_decoder";
import { LongshoreError } from "../errors/longshore-error.ts";
import { CommandError } from "./command-error.ts";
import { execInSandbox } from "./exec-in-sandbox.ts";
import type { ExecRequest, ExecSession, InputWriter } from "./exec-session.ts";
import { outputEvents, outputLines } from "./output-events.ts";
import { startCommand, type FinishedCommand } from "./run-command.ts";
import type { RuntimeClient } from "./runtime-client.ts";
import type { OutputName, RunResult, SandboxProcess, SpawnOptions } from "./sandbox-process.ts";

export interface ProcessOptions extends SpawnOptions {
  /** Collects the output without being awaited, and kills what the command leaves running. @default false */
  readonly runsToEnd?: boolean | undefined;
  /** Says whether a command may start now. */
  readonly check?: (() => void) | undefined;
}

/** Starts a command in a container and gives its handle at once. Never throws: whatever is wrong rejects. */
export function spawnProcess(
  runtime: RuntimeClient,
  { containerId, cmd }: Pick<ExecRequest, "containerId" | "cmd">,
  options: ProcessOptions = {},
): SandboxProcess {
  const { signal, runsToEnd = false, onStdout, onStderr } = options;
  const disposed = new AbortController();
  const running = startCommand(
    checked(runtime, cmd, options),
    { containerId, cmd, ...toRequest(options) },
    {
      ...options,
      signal: signal === undefined ? disposed.signal : AbortSignal.any([signal, disposed.signal]),
      killsBackground: runsToEnd,
      onOutput: textCallbacks({ stdout: onStdout, stderr: onStderr }),
    },
  );
  let hasStarted = false;
  const started = running.session.then(() => {
    hasStarted = true;
  });
  const exit = running.session.then((session) => session.exit);
  for (const promise of [started, exit]) promise.catch(() => undefined);
  // Whoever iterates in this same turn comes first.
  if (runsToEnd || onStdout !== undefined || onStderr !== undefined) {
    started.then(running.collect, () => undefined);
  }
  const session = (): Promise<ExecSession | undefined> => running.session.catch(() => undefined);
  const result = (): Promise<FinishedCommand> => {
    running.collect();
    return running.finished;
  };

  const handle: SandboxProcess = {
    command: cmd,
    started,
    exit,
    stdout: running.stdout,
    stderr: running.stderr,
    stdin: inputOf(running.session, options),
    lines: () => outputLines(running),
    [Symbol.asyncIterator]: () => outputEvents(running),
    async kill(name) {
      await (await session())?.kill(name);
    },
    async resize(size) {
      await (await session())?.resize(size);
    },
    // oxlint-disable-next-line unicorn/no-thenable -- the handle is meant to be awaited, see SandboxProcess
    then: (onFulfilled, onRejected) => result().then(toResult).then(onFulfilled, onRejected),
    catch: (onRejected) => result().then(toResult).catch(onRejected),
    async orThrow() {
      const finished = await result();
      if (finished.exit.exitCode === 0) return toResult(finished);
      const tails = { stdoutTail: finished.stdout.tail(), stderrTail: finished.stderr.tail() };
      throw new CommandError({ command: cmd, ...finished.exit, ...tails });
    },
    async [Symbol.asyncDispose]() {
      if (!hasStarted) {
        const message = `"${cmd[0] ?? ""}" was disposed before it had started.`;
        disposed.abort(new LongshoreError("CANCELLED", message));
      }
      await running.giveUp();
    },
  };
  return handle;
}

/** The runtime, with what the caller did wrong said in the same way as what the runtime refuses. */
function checked(
  runtime: RuntimeClient,
  cmd: readonly string[],
  { check, stdin, openStdin = false }: ProcessOptions,
): Pick<RuntimeClient, "exec"> {
  return {
    async exec(request, options) {
      if (cmd.length === 0) throw new TypeError("a command needs a program to run");
      if (stdin !== undefined && openStdin) {
        throw new TypeError("stdin and openStdin exclude each other: the input has one writer");
      }
      check?.();
      return execInSandbox(runtime, request, options);
    },
  };
}

function toRequest(options: ProcessOptions): Omit<ExecRequest, "containerId" | "cmd"> {
  const { env = {}, cwd, user, tty = false, terminalSize, output = "pipe", stdin } = options;
  const { openStdin = tty && stdin === undefined } = options;
  return {
    envs: Object.entries(env).map(([key, value]) => ({ key, value })),
    workingDir: cwd,
    user,
    tty,
    terminalSize,
    stdin: openStdin || stdin !== undefined,
    stdout: output === "pipe",
    stderr: output === "pipe" && !tty,
  };
}

function inputOf(
  session: Promise<ExecSession>,
  { openStdin, tty = false, stdin }: ProcessOptions,
): InputWriter {
  const isOpen = openStdin ?? (tty && stdin === undefined);
  return {
    async write(chunk) {
      if (!isOpen)
        throw new TypeError("this command takes no input: spawn it with openStdin: true");
      await (await session).stdin.write(chunk);
    },
    async end() {
      if (isOpen) await (await session).stdin.end();
    },
  };
}

type TextCallback = ((data: string) => void | Promise<void>) | undefined;

function textCallbacks(
  callbacks: Readonly<Record<OutputName, TextCallback>>,
): (name: OutputName, chunk: Uint8Array | undefined) => void | Promise<void> {
  const decoders = { stdout: new StringDecoder("utf8"), stderr: new StringDecoder("utf8") };
  return (name, chunk) => {
    const callback = callbacks[name];
    if (callback === undefined) return undefined;
    const decoder = decoders[name];
    const text = chunk === undefined ? decoder.end() : decoder.write(Buffer.from(chunk));
    return text === "" ? undefined : callback(text);
  };
}

function toResult({ exit, stdout, stderr }: FinishedCommand): RunResult {
  return {
    ...exit,
    stdout: stdout.bytes().toString("utf8"),
    stderr: stderr.bytes().toString("utf8"),
    stdoutTruncated: stdout.droppedBytes() > 0,
    stderrTruncated: stderr.droppedBytes() > 0,
    stdoutBytesTruncated: stdout.droppedBytes(),
    stderrBytesTruncated: stderr.droppedBytes(),
  };
}
