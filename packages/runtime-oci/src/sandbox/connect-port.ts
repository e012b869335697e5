import { spawn } from "node:child_process";
import { once } from "node:events";
import { Duplex } from "node:stream";
import { LongshoreError, type Abortable } from "@longshore/core";
import { connectProgram } from "../perl/connect-program.ts";
import { perlArguments } from "../perl/perl-program.ts";
import { collect, perlError } from "../perl/perl-report.ts";
import type { RuntimeContext } from "../runtime/runtime-context.ts";

/** Namespaces as files. */
export interface NetworkPaths {
  /** Absent: this program's own */
  readonly network?: string | undefined;
  /** The user namespace to join first. @default none */
  readonly users?: string | undefined;
}

/**
 * Connects to a TCP port on the loopback interface of a network namespace. A small process stands between, which ends with the connection.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`, `IO_ERROR` when nothing listens there
 */
export async function connectPort(
  { perl, network = "", users = "" }: NetworkPaths & Pick<RuntimeContext, "perl">,
  port: number,
  { signal }: Abortable = {},
): Promise<Duplex> {
  signal?.throwIfAborted();
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new LongshoreError("VALIDATION_ERROR", `A port is 1 to 65535, not ${port}.`, {
      details: { field: "port" },
    });
  }
  const args = perlArguments(connectProgram, [network, String(port), users]);
  const child = spawn(perl, args, {
    cwd: "/",
    stdio: ["pipe", "pipe", "pipe", "pipe"],
    env: { LC_ALL: "C" },
  });
  const failure = collect(child.stderr);
  const onAbort = (): void => {
    child.kill("SIGKILL");
  };
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  const connected = new Promise<boolean>((resolve) => {
    child.stdio[3]?.once("data", () => resolve(true));
    child.once("close", () => resolve(false));
    child.once("error", () => resolve(false));
  });
  try {
    if (await connected) {
      const stream = Duplex.from({ readable: child.stdout, writable: child.stdin });
      stream.once("close", onAbort);
      // A stream made of two says AbortError when its reader destroys it; nobody need listen for that.
      stream.on("error", () => undefined);
      return stream;
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, "close");
    signal?.throwIfAborted();
    throw perlError(`connect to port ${port} in the sandbox`, failure());
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}
