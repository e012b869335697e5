import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";

export interface ProcessGroupOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** A variable that only this attempt's processes have, `NAME=value`: finds those that left the group */
  readonly token: string;
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
  /** Resolves when the process has ended, its output is read, and nothing it started is left; rejects when it never started. */
  readonly ended: Promise<ProcessEnd>;
}

/** How long output may still come from a pipe whose writers were killed. */
const drainMs = 2_000;

/**
 * Starts a process in a group of its own. When the signal aborts, the group gets SIGTERM, and SIGKILL after the grace
 * time. Whatever the process leaves behind is killed too.
 */
export function startProcessGroup(options: ProcessGroupOptions): ProcessGroup {
  const { program, args, cwd, env, uid, gid, token, killGraceMs, signal } = options;
  const child = spawn(program, args, {
    cwd,
    env: { ...env },
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
  });
  let killTimer: NodeJS.Timeout | undefined;
  const onAbort = (): void => {
    killGroup(child.pid, "SIGTERM");
    killTimer = setTimeout(() => {
      killGroup(child.pid, "SIGKILL");
    }, killGraceMs);
  };

  const ended = new Promise<ProcessEnd>((resolve, reject) => {
    let drainTimer: NodeJS.Timeout | undefined;
    child.once("error", (error) => {
      if (child.pid === undefined) reject(error);
    });
    child.once("exit", () => {
      // The result waits for the end of the output, not for the exit: what is in the pipes is not lost.
      void killLeftovers(child.pid, token);
      drainTimer = setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, drainMs);
    });
    child.once("close", (exitCode, endSignal) => {
      clearTimeout(drainTimer);
      if (child.pid === undefined) return;
      // Once more: a process may have been between fork and exec the first time.
      void killLeftovers(child.pid, token).then(() => {
        resolve({ exitCode, signal: endSignal });
      });
    });
  }).finally(() => {
    clearTimeout(killTimer);
    signal.removeEventListener("abort", onAbort);
  });
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  return { child, ended };
}

function killGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // The group is gone.
  }
}

/** Kills what is left of the group, and, on Linux, what left the group: it still has the token in its environment. */
async function killLeftovers(pid: number | undefined, token: string): Promise<void> {
  killGroup(pid, "SIGKILL");
  if (process.platform !== "linux") return;
  // A process that forks while we look may be missed once, not twice.
  for (let round = 0; round < 3; round += 1) {
    const escaped = await findByToken(token);
    if (escaped.length === 0) return;
    for (const found of escaped) {
      try {
        process.kill(found, "SIGKILL");
      } catch {
        // It ended by itself.
      }
    }
  }
}

async function findByToken(token: string): Promise<readonly number[]> {
  const names = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    names.map(async (name) => {
      try {
        const environ = await readFile(`/proc/${name}/environ`, "latin1");
        return environ.split("\0").includes(token) ? Number(name) : undefined;
      } catch {
        // Ended, or another user's: not ours.
        return undefined;
      }
    }),
  );
  return found.filter((pid) => pid !== undefined);
}
