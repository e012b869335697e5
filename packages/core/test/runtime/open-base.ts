import { posix } from "node:path";
import {
  openSandbox,
  type RuntimeClient,
  type Sandbox,
  type SandboxOptions,
} from "@longshore/core";
import type { DirectoryImages } from "./directory-images.ts";
import { tempRuntime } from "./temp-runtime.ts";

/** A sandbox of the image `base` on a process runtime of its own. */
export interface BaseSandbox extends AsyncDisposable {
  readonly runtime: RuntimeClient;
  readonly images: DirectoryImages;
  readonly sandbox: Sandbox;
  /** An absolute path in the container's own directory */
  at(path: string): string;
}

/** @param wrap changes the runtime that the sandbox is opened on */
export async function openBase(
  options: Partial<SandboxOptions> = {},
  wrap: (runtime: RuntimeClient) => RuntimeClient = (runtime) => runtime,
): Promise<BaseSandbox> {
  const host = await tempRuntime();
  const { images } = host;
  const runtime = wrap(host.runtime);
  const sandbox = await openSandbox(runtime, { image: "base", images, ...options });
  const root = (await sandbox.run(["pwd", "-P"])).stdout.trim();
  return {
    runtime,
    images,
    sandbox,
    at: (path) => posix.join(root, path),
    [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
  };
}

/** A program for `node -e`: no shell in between. */
export function node(program: string): readonly string[] {
  return [process.execPath, "-e", program];
}

export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

export async function toArray<Item>(items: AsyncIterable<Item>): Promise<readonly Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}
