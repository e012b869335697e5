import { spawn, type ChildProcess } from "node:child_process";
import type { Abortable } from "../abortable.ts";

const maxOutputBytes = 65_536;

export interface AskOptions extends Abortable {
  /** Where the command finds its own helpers */
  readonly path: string;
  readonly timeoutMs: number;
}

/**
 * Runs a command that says something about itself. Resolves to the first 64 KiB of what it prints, or to `undefined` when
 * it fails, takes too long or the signal aborts; nothing it started is left behind then.
 */
export async function askCommand(
  file: string,
  args: readonly string[],
  { path, timeoutMs, signal }: AskOptions,
): Promise<string | undefined> {
  const deadline = AbortSignal.timeout(timeoutMs);
  const stop = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
  if (stop.aborted) return undefined;
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      // Some tools look for settings around the current directory; the worker's must not change what is found.
      cwd: "/",
      env: { ...process.env, PATH: path, LC_ALL: "C", GOTOOLCHAIN: "local" },
      stdio: ["ignore", "pipe", "pipe"],
      // A group of its own, so that what a wrapper script starts is stopped with it.
      detached: process.platform !== "win32",
    });
    const chunks: Buffer[] = [];
    let room = maxOutputBytes;
    const keep = (chunk: Buffer): void => {
      if (room > 0) chunks.push(chunk.subarray(0, room));
      room -= chunk.length;
    };
    const onStop = (): void => {
      killGroup(child);
      // Whatever got away may hold the pipes open.
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const end = (output: string | undefined): void => {
      stop.removeEventListener("abort", onStop);
      resolve(output);
    };
    stop.addEventListener("abort", onStop, { once: true });
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.once("error", () => {
      end(undefined);
    });
    child.once("close", (exitCode) => {
      const isAnswer = exitCode === 0 && !stop.aborted;
      end(isAnswer ? Buffer.concat(chunks).toString("utf8") : undefined);
    });
  });
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    if (process.platform === "win32") child.kill("SIGKILL");
    else process.kill(-child.pid, "SIGKILL");
  } catch {
    // It is gone already.
  }
}
