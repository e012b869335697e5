import { LongshoreError } from "../errors/longshore-error.ts";
import type { ExecRequest, ExecSession, ProcessExit } from "./exec-session.ts";
import { outputCapture, type OutputCapture } from "./output-capture.ts";
import type { RuntimeClient } from "./runtime-client.ts";
import type { RunOptions } from "./sandbox.ts";

/** A command that has ended, and what it printed. */
export interface FinishedCommand {
  readonly exit: ProcessExit;
  readonly stdout: OutputCapture;
  readonly stderr: OutputCapture;
}

type CommandLimits = Pick<RunOptions, "timeoutMs" | "stdin" | "maxOutputBytes" | "signal">;

/** A timer cannot wait longer. */
const maxTimeoutMs = 2 ** 31 - 1;

/**
 * Runs a command in a container to its end. After a time-out, an abort or any other error it is killed and gone.
 *
 * @throws {LongshoreError} `TIMEOUT`, and what `RuntimeClient.exec` throws
 */
export async function runCommand(
  runtime: RuntimeClient,
  request: ExecRequest,
  options: CommandLimits = {},
): Promise<FinishedCommand> {
  const { timeoutMs, stdin, maxOutputBytes = 10_485_760, signal } = options;
  if (timeoutMs !== undefined && !(timeoutMs > 0 && timeoutMs <= maxTimeoutMs)) {
    throw new RangeError(`timeoutMs must be above 0 and at most ${maxTimeoutMs}, got ${timeoutMs}`);
  }
  signal?.throwIfAborted();
  const deadline = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
  const end = AbortSignal.any([signal, deadline].filter((one) => one !== undefined));
  const stdout = outputCapture(maxOutputBytes);
  const stderr = outputCapture(maxOutputBytes);
  try {
    const started = runtime.exec({ ...request, stdin: stdin !== undefined }, { signal: end });
    await using session = await started;
    const exit = await untilEnd(session, end, [
      drain(session.stdout, stdout),
      drain(session.stderr, stderr),
      feed(session, stdin),
    ]);
    return { exit, stdout, stderr };
  } catch (error) {
    if (deadline?.aborted !== true || signal?.aborted === true) throw error;
    throw new LongshoreError(
      "TIMEOUT",
      `"${request.cmd[0] ?? ""}" was killed after its ${timeoutMs} ms.`,
      {
        phase: "execution",
        details: { timeoutMs, stdout: tail(stdout), stderr: tail(stderr) },
        cause: error,
      },
    );
  }
}

/** Waits for the process and its streams; rejects early with the abort's reason or a stream's error. */
async function untilEnd(
  { exit }: ExecSession,
  signal: AbortSignal,
  flows: readonly Promise<void>[],
): Promise<ProcessExit> {
  const stop = Promise.withResolvers<never>();
  const onAbort = (): void => stop.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  const all = Promise.all([exit, ...flows]);
  // The loser of the race may still fail, while the session is disposed.
  all.catch(() => undefined);
  stop.promise.catch(() => undefined);
  try {
    const [ended] = await Promise.race([all, stop.promise]);
    return ended;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

async function drain(stream: AsyncIterable<Uint8Array>, capture: OutputCapture): Promise<void> {
  for await (const chunk of stream) capture.add(chunk);
}

async function feed(session: ExecSession, source: RunOptions["stdin"]): Promise<void> {
  if (source === undefined) return;
  const { stdin, exit } = session;
  if (typeof source === "string" || source instanceof Uint8Array) {
    await stdin.write(source);
    await stdin.end();
    return;
  }
  // A source may wait for ever; it is left as soon as the process is gone.
  const over = exit.then(
    () => undefined,
    () => undefined,
  );
  const iterator = source[Symbol.asyncIterator]();
  for (;;) {
    const next = await Promise.race([iterator.next(), over]);
    if (next === undefined) {
      // Not awaited: a generator that waits for something answers only when that has come.
      iterator.return?.().catch(() => undefined);
      return;
    }
    if (next.done === true) break;
    await stdin.write(next.value);
  }
  await stdin.end();
}

function tail(capture: OutputCapture): string {
  return capture.bytes().toString("utf8").slice(-4_000);
}
