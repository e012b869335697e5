import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findCommand } from "@longshore/core";
import { endPrograms, run } from "./run.ts";

/** What keeps a benchmark from running here: root or one of its programs. */
export async function findMissing(programs: readonly string[]): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "root";
  for (const program of programs) {
    const found = await findCommand(program, process.env["PATH"] ?? "");
    if (found === undefined) return program;
  }
  return undefined;
}

/** A directory that goes at the end, with the programs that work in it. */
export async function temporaryDirectory(): Promise<
  AsyncDisposable & { readonly directory: string }
> {
  const directory = await mkdtemp(join(tmpdir(), "longshore-bench-"));
  return {
    directory,
    async [Symbol.asyncDispose]() {
      await endPrograms();
      await unmountBelow(directory);
      // What was interrupted in this process may still be writing.
      await rm(directory, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

/** Podman, for one, leaves its storage mounted on itself. */
async function unmountBelow(directory: string): Promise<void> {
  const lines = (await readFile("/proc/self/mounts", "utf8")).split("\n");
  const targets = lines.map((line) => line.split(" ")[1] ?? "");
  for (const target of targets.toReversed()) {
    if (target.startsWith(`${directory}/`)) await run("umount", "--lazy", target);
  }
}

/** Lets who interrupts the benchmark wait until everything is put away. */
export function untilInterrupted(): Disposable & {
  readonly signal: AbortSignal;
  readonly rejected: Promise<never>;
} {
  const { promise, reject } = Promise.withResolvers<never>();
  const controller = new AbortController();
  promise.catch(() => undefined);
  const interrupt = (): void => {
    const error = new Error("The benchmark was interrupted.");
    controller.abort(error);
    reject(error);
  };
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  return {
    signal: controller.signal,
    rejected: promise,
    [Symbol.dispose]() {
      process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
    },
  };
}
