import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { attemptVariable, createAttemptToken } from "./attempt-token.ts";
import { isGroupRunning, killAttempt } from "./leftovers.ts";

export interface ProcessGroupOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** Time from SIGTERM to SIGKILL, in milliseconds */
  readonly killGraceMs: number;
  readonly signal: AbortSignal;
}

export interface ProcessEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process with everything it starts. */
export interface ProcessGroup {
  readonly child: ChildProcessWithoutNullStreams;
  /** Resolves when the process has ended, its output is read, and nothing it started is left. Never rejects. */
  readonly ended: Promise<ProcessEnd>;
}

/** How long output may still come from a pipe whose writers were killed. */
const drainMs = 1_000;
const pollMs = 50;

/**
 * Starts a process in a session and group of its own. When the signal aborts, the group gets SIGTERM, and SIGKILL after
 * the grace time. Whatever the process leaves behind is killed too: the rest of the group, and what left the group but
 * still carries the attempt's variable in its environment. Rejects when the process cannot be started.
 */
export async function startProcessGroup(options: ProcessGroupOptions): Promise<ProcessGroup> {
  const { program, args, cwd, env, uid, gid, killGraceMs, signal } = options;
  const token = await createAttemptToken();
  signal.throwIfAborted();
  const child = spawn(program, args, {
    cwd,
    env: { ...env, [attemptVariable]: token },
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
  });
  const { pid } = child;
  if (pid === undefined) {
    const [error] = await once(child, "error");
    throw error;
  }
  child.on("error", () => {
    // Nothing but a failed start can be reported here, and it has started.
  });

  let killAtMs = Infinity;
  let killTimer: NodeJS.Timeout | undefined;
  const onAbort = (): void => {
    killAtMs = performance.now() + killGraceMs;
    killGroup(pid, "SIGTERM");
    killTimer = setTimeout(() => {
      killGroup(pid, "SIGKILL");
    }, killGraceMs);
  };
  signal.addEventListener("abort", onAbort, { once: true });

  /** After the main process: nothing else stays. */
  const clear = async (): Promise<void> => {
    signal.removeEventListener("abort", onAbort);
    if (killTimer === undefined) {
      // At once: the group's number stays taken only as long as it has members.
      killGroup(pid, "SIGKILL");
    } else {
      // The others were told to end as well, and have the same time for it.
      let isRunning = await isGroupRunning(pid);
      while (isRunning && performance.now() < killAtMs) {
        await delay(pollMs);
        isRunning = await isGroupRunning(pid);
      }
      clearTimeout(killTimer);
      if (isRunning) killGroup(pid, "SIGKILL");
    }
    await killAttempt(token);
  };

  const ended = new Promise<ProcessEnd>((resolve) => {
    let drainTimer: NodeJS.Timeout | undefined;
    let cleared: Promise<void> | undefined;
    child.once("exit", () => {
      cleared = clear().finally(() => {
        drainTimer = setTimeout(() => {
          child.stdout.destroy();
          child.stderr.destroy();
        }, drainMs);
      });
    });
    // Not the exit ends the job but the end of its output: what is in the pipes is not lost.
    child.once("close", (exitCode, endSignal) => {
      const end = (): void => {
        clearTimeout(drainTimer);
        resolve({ exitCode, signal: endSignal });
      };
      void (cleared ?? Promise.resolve()).then(end, end);
    });
  });
  return { child, ended };
}

function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // The group is gone.
  }
}
