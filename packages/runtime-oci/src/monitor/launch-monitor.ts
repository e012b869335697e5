import { spawn, type StdioOptions } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { connect, Socket } from "node:net";
import { join } from "node:path";
import { LongshoreError, type Abortable } from "@longshore/core";
import { monitorProgram } from "../perl/monitor-program.ts";
import { findPerl, perlArguments } from "../perl/perl-program.ts";
import { perlError } from "../perl/run-perl.ts";

export interface MonitorSettings {
  /** Directory of the container: its files and the monitor's socket */
  readonly directory: string;
  readonly settings: Readonly<Record<string, string | number | undefined>>;
  /** The OCI runtime with its global options */
  readonly runtime: readonly string[];
  /** How many connections there are to be before the process is, beside the one that gives orders */
  readonly connections: number;
}

/**
 * Starts a monitor, which goes on when this program ends. Its connections exist at once: the first one gives orders.
 *
 * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` without Perl, `IO_ERROR` when it cannot be started
 */
export async function launchMonitor(options: MonitorSettings): Promise<readonly Socket[]> {
  const { directory, settings, runtime, connections } = options;
  const perl = await findPerl();
  const words = Object.entries({ ...settings, connections: connections + 1 }).flatMap(
    ([key, value]) => (value === undefined ? [] : [`${key}=${value}`]),
  );
  const args = perlArguments(monitorProgram, [directory, ...words, "--", ...runtime]);
  const errors = openSync(join(directory, "monitor.err"), "w", 0o600);
  try {
    const stdio: StdioOptions = ["ignore", "ignore", errors];
    for (let index = 0; index <= connections; index++) stdio.push("pipe");
    const child = spawn(perl, args, {
      cwd: "/",
      detached: true,
      stdio,
      env: { LC_ALL: "C", PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin" },
    });
    const failed = Promise.withResolvers<never>();
    child.once("error", (error) => failed.reject(startError(error)));
    const spawned = new Promise<void>((resolve) => child.once("spawn", resolve));
    await Promise.race([spawned, failed.promise]);
    child.unref();
    return child.stdio.slice(3).filter((stream) => stream instanceof Socket);
  } finally {
    closeSync(errors);
  }
}

/** Why a monitor ended before it began: what it wrote before. */
export async function monitorFailure(directory: string): Promise<LongshoreError> {
  const report = await readFile(join(directory, "monitor.err"), "utf8").catch(() => "");
  return perlError("run the container's monitor", report);
}

/**
 * Connects to the monitor of a container.
 *
 * @throws {LongshoreError} `NOT_FOUND` when there is none
 */
export async function connectMonitor(
  directory: string,
  name: string,
  { signal }: Abortable = {},
): Promise<Socket> {
  signal?.throwIfAborted();
  try {
    // A socket's path has at most 107 bytes; an open directory has a short one.
    const handle = await open(directory, "r");
    try {
      return await connected(connect(`/proc/self/fd/${handle.fd}/${name}`));
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw new LongshoreError("NOT_FOUND", `Nothing serves ${join(directory, name)}.`, {
      cause: error,
    });
  }
}

async function connected(socket: Socket): Promise<Socket> {
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  return socket;
}

function startError(cause: Error): LongshoreError {
  return new LongshoreError("IO_ERROR", `The container's monitor did not start: ${cause.message}`, {
    cause,
  });
}
