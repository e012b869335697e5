import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { PrepareRootfsOptions } from "@longshore/core";
import { bundlePrograms } from "../../../../test/fixtures/bundle-programs.ts";
import type { NydusImageStoreOptions } from "../../src/index.ts";

/** What a process of its own does with a store. */
export interface StoreOrder {
  readonly directory: string;
  readonly options?: Pick<NydusImageStoreOptions, "mountMethods" | "parallelLayers">;
  readonly steps: readonly StoreStep[];
}

export type StoreStep =
  | { readonly do: "pull" | "remove"; readonly image: string }
  | { readonly do: "collect" | "list" | "hold-lease" | "memory" | "wait" }
  /** What the last `mount` has mounted, or nothing */
  | { readonly do: "unmount" }
  | {
      readonly do: "prepare";
      readonly image: string;
      readonly owner: string;
      readonly options?: PrepareRootfsOptions;
      /** A file to write into the root filesystem */
      readonly write?: string;
    }
  | { readonly do: "release"; readonly owner: string }
  | { readonly do: "mount"; readonly image: string; readonly target: string };

/** A process with a store. Disposing kills it. */
export interface StoreProcess extends AsyncDisposable {
  /** What it has printed so far: a line for each step that is done, then `closed` */
  readonly lines: readonly string[];
  /** Resolves to what a step came to, once it is done. @param number from 0 */
  result(number: number): Promise<unknown>;
  /** Resolves when it has ended; rejects when it failed. A kill is no failure. */
  readonly ended: Promise<void>;
  /** Ends it where it is, and resolves when it is gone; rejects when it had failed before. */
  kill(): Promise<void>;
}

const source = new URL("store-process.ts", import.meta.url);

/** @param program from {@link bundleStoreProcess}; @default the sources */
export function startStoreProcess(
  order: StoreOrder,
  program: string = fileURLToPath(source),
): StoreProcess {
  const args = ["--no-warnings", "--conditions=@longshore/source", program, JSON.stringify(order)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const lines: string[] = [];
  const complaints: string[] = [];
  const waiting = new Set<() => void>();
  const wake = (): void => {
    for (const look of waiting) look();
  };
  createInterface({ input: child.stdout }).on("line", (line) => {
    lines.push(line);
    wake();
  });
  createInterface({ input: child.stderr }).on("line", (line) => complaints.push(line));
  const closed = once(child, "close");
  const ended = closed.then(([code, signal]) => {
    wake();
    if (code === 0 || signal === "SIGKILL") return;
    throw new Error(`the process failed with ${code ?? signal}:\n${complaints.join("\n")}`);
  });
  // Whoever waits for a result is told, too.
  ended.catch(() => undefined);
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
  };
  return {
    lines,
    ended,
    kill,
    async result(number) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const look = (): void => {
        if (lines.length > number) resolve();
      };
      waiting.add(look);
      look();
      await Promise.race([promise, ended]);
      const line = lines[number];
      if (line === undefined) throw new Error(`the process ended before step ${number}`);
      return line === "waiting" ? line : JSON.parse(line);
    },
    [Symbol.asyncDispose]: kill,
  };
}

/** The program of store processes in one file, for tests that start many. @returns its path */
export async function bundleStoreProcess(directory: string): Promise<string> {
  const module = (path: string): URL => new URL(`../../src/${path}.ts`, import.meta.url);
  await bundlePrograms(directory, {
    "store-process": source,
    "fuse-thread": module("fuse/fuse-thread"),
    "convert-thread": module("store/convert-thread"),
    "open-shared-bootstrap": module("rootfs/open-shared-bootstrap"),
  });
  return join(directory, "store-process.js");
}
