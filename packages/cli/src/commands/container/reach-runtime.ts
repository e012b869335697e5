import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, open } from "node:fs/promises";
import { join, resolve } from "node:path";
import {
  isLongshoreError,
  LongshoreError,
  type Abortable,
  type RuntimeClient,
} from "@longshore/core";
import { connectRuntime } from "@longshore/runtime";
import type { ImageFlags } from "../image/image-store.ts";

/** Flags of every command about containers. */
export type RuntimeFlags = ImageFlags;

/** Where the process that keeps a home's containers is reached. */
export function runtimeSocket(home: string): string {
  return join(resolve(home), "run", "runtime.sock");
}

/**
 * Reaches the containers of a home directory: through the process that keeps them (a worker, or another command's keeper), or
 * else one that is started in the background and ends by itself when nobody needs it.
 *
 * @throws {LongshoreError} `RUNTIME_UNAVAILABLE` with the keeper's reason
 */
export async function reachRuntime(
  flags: RuntimeFlags,
  { signal }: Abortable = {},
): Promise<RuntimeClient> {
  const path = runtimeSocket(flags.home);
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await connectRuntime({ path, signal });
    } catch (error) {
      // A keeper may end in the very moment in which it is found; the third time something else is wrong.
      if (!isLongshoreError(error, "RUNTIME_UNAVAILABLE") || attempt >= 3) throw error;
    }
    await startKeeper(flags);
  }
}

/** Starts a keeper and waits until it serves; also returns when another one was faster. */
async function startKeeper(flags: RuntimeFlags): Promise<void> {
  const [, main = ""] = process.argv;
  const directory = join(resolve(flags.home), "run");
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // What goes wrong in the background has no terminal to show on.
  await using log = await open(join(directory, "keeper.log"), "w", 0o600);
  const registries = (flags.plainHttp ?? []).flatMap((host) => ["--plain-http", host]);
  const child = spawn(
    process.execPath,
    [
      ...process.execArgv,
      main,
      "runtime",
      "--keeper",
      "--home",
      resolve(flags.home),
      ...registries,
    ],
    { detached: true, stdio: ["ignore", "pipe", log.fd], cwd: "/" },
  );
  try {
    const output: Buffer[] = [];
    // It writes one line when it serves, or what is wrong, and closes its output then.
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) output.push(chunk);
    const line = Buffer.concat(output).toString("utf8").trim();
    if (line === "ready") return;
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    throw new LongshoreError(
      "RUNTIME_UNAVAILABLE",
      line === "" ? `The keeper of containers ended with ${child.exitCode}.` : line,
    );
  } finally {
    child.unref();
  }
}
