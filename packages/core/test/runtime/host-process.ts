import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { PassThrough, type Readable } from "node:stream";
import { LongshoreError, type ExecSession, type ProcessExit } from "@longshore/core";

const signalNames = ["SIGHUP", "SIGINT", "SIGKILL", "SIGTERM", "SIGUSR1", "SIGUSR2"] as const;

export interface HostProcessSpec {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** How long streams stay open after the process, when a child of it holds them. @default 5_000 */
  readonly drainMs?: number | undefined;
}

/** A process of the host, in a group of its own. */
export interface HostProcess extends ExecSession {
  readonly pid: number;
  /** Whether it, or anything it started, is still there */
  isAlive(): boolean;
}

/** Starts a process of the host. @throws {LongshoreError} `EXECUTION_ERROR` */
export async function startHostProcess(spec: HostProcessSpec): Promise<HostProcess> {
  const { argv, cwd, env, drainMs = 5_000 } = spec;
  const pipe = (isWanted: boolean): "pipe" | "ignore" => (isWanted ? "pipe" : "ignore");
  const child = spawn(argv[0] ?? "", argv.slice(1), {
    cwd,
    env,
    detached: true,
    stdio: [pipe(spec.stdin), pipe(spec.stdout), pipe(spec.stderr)],
  });
  try {
    await once(child, "spawn");
  } catch (error) {
    const message = `"${argv[0]}" could not be started.`;
    throw new LongshoreError("EXECUTION_ERROR", message, { cause: error });
  }
  const { pid = 0, stdin } = child;
  // Node throws away what nobody has read when a process ends, unless it has been passed on.
  const [stdout, stderr] = [passedOn(child.stdout), passedOn(child.stderr)];
  // A process may close its input, or end, before all is written: its own affair.
  stdin?.on("error", () => undefined);

  let isGone = false;
  let isDisposed = false;
  const exit = once(child, "exit").then(([code, signal]): ProcessExit => {
    isGone = true;
    const giveUp = setTimeout(() => {
      for (const stream of [child.stdout, child.stderr, stdout, stderr]) stream?.destroy();
    }, drainMs);
    child.once("close", () => clearTimeout(giveUp));
    stdin?.destroy();
    if (typeof code === "number") return { exitCode: code };
    const name = signalNames.find((known) => known === signal);
    return { exitCode: 128 + (name === undefined ? 0 : constants.signals[name]), signal: name };
  });

  const killGroup = (signal: NodeJS.Signals | 0): boolean => {
    try {
      return process.kill(-pid, signal);
    } catch {
      return false; // the group is gone
    }
  };

  return {
    pid,
    isAlive: () => killGroup(0),
    exit,
    stdin: {
      async write(chunk) {
        if (stdin === null || !stdin.writable) return;
        if (stdin.write(chunk)) return;
        const done = new AbortController();
        const { signal } = done;
        const events = ["drain", "close"].map((event) => once(stdin, event, { signal }));
        await Promise.race(events).catch(() => undefined);
        done.abort();
      },
      async end() {
        stdin?.end();
      },
    },
    stdout: bytes(stdout, () => isGone || isDisposed),
    stderr: bytes(stderr, () => isGone || isDisposed),
    async resize() {},
    async kill(signal = "SIGTERM") {
      const name = signalNames.find((known) => known === signal);
      if (name === undefined)
        throw new LongshoreError("VALIDATION_ERROR", `No signal is ${signal}.`);
      if (!isGone) process.kill(pid, name);
    },
    async [Symbol.asyncDispose]() {
      isDisposed = true;
      killGroup("SIGKILL");
      for (const stream of [child.stdout, child.stderr, stdout, stderr]) stream?.destroy();
      await exit;
      // Killed children are gone when init has reaped them.
      while (killGroup(0)) await new Promise((resolve) => setTimeout(resolve, 5));
    },
  };
}

function passedOn(stream: Readable | null): Readable | null {
  if (stream === null) return null;
  const passed = new PassThrough();
  // A pipe that breaks has ended.
  stream.on("error", () => undefined);
  passed.on("error", () => undefined);
  return stream.pipe(passed);
}

async function* bytes(
  stream: Readable | null,
  isDisposed: () => boolean,
): AsyncIterable<Uint8Array> {
  try {
    for await (const chunk of stream ?? []) yield chunk;
  } catch (error) {
    if (!isDisposed()) throw error;
  }
}
