import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import { LongshoreError, type Abortable } from "@longshore/core";
import type { PerlHelper } from "../perl/perl-helper.ts";
import { perlError } from "../perl/perl-report.ts";
import { connectIn } from "./connect-in.ts";

/** The socket of a container's monitor; the name is that of `monitor-program.ts`. */
export const monitorSocket = "monitor.sock";

export interface MonitorSettings {
  /** Directory of the container: its files and the monitor's socket */
  readonly directory: string;
  readonly settings: Readonly<Record<string, string | number | undefined>>;
  /** The OCI runtime with its global options */
  readonly runtime: readonly string[];
  /** How many connections to its process there are to be before that is started */
  readonly sessions: number;
}

/**
 * Starts a monitor, which goes on when this program ends, and returns the connection that gives it orders.
 *
 * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` without Perl, `IO_ERROR` when it cannot be started
 */
export async function launchMonitor(helper: PerlHelper, options: MonitorSettings): Promise<Socket> {
  const { directory, settings, runtime, sessions } = options;
  const words = Object.entries({ ...settings, sessions }).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key}=${value}`],
  );
  return helper.launch("monitor", [directory, ...words, "--", ...runtime], "start the monitor");
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
    return await connectIn(directory, name);
  } catch (error) {
    throw new LongshoreError("NOT_FOUND", `Nothing serves ${join(directory, name)}.`, {
      cause: error,
    });
  }
}
