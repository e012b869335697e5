import { randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  LongshoreError,
  type Abortable,
  type DriverExit,
  type DriverProcess,
  type ProcessSpec,
} from "@longshore/core";
import { monitorGone, type Connection } from "../monitor/connection.ts";
import { parseExitRecord } from "../monitor/exit-record.ts";
import { connectMonitor } from "../monitor/launch-monitor.ts";
import { processStreams, streamBits } from "../monitor/session.ts";
import { runtimeError } from "../runtime/run-runtime.ts";
import type { ContainerContext } from "./container-context.ts";
import { execProcess } from "./container-spec.ts";
import { signalNumber } from "./signal-numbers.ts";

/**
 * Runs a command in a container. Its monitor starts it and knows its end; when the connection to this program breaks, the
 * monitor kills it with all that it started.
 *
 * @param orders the connection that gives orders, for when the command's own has ended
 * @throws {LongshoreError} `VALIDATION_ERROR`, `EXECUTION_ERROR` with the OCI runtime's words, `SANDBOX_INVALID_STATE` when
 *   the container has ended
 */
export async function execInContainer(
  context: ContainerContext,
  spec: ProcessSpec,
  { signal, orders }: Abortable & { readonly orders: Connection },
): Promise<DriverProcess> {
  signal?.throwIfAborted();
  const { directory } = context.spec;
  const process = await execProcess(context, spec);
  const name = `exec-${randomBytes(8).toString("hex")}`;
  const file = join(directory, `${name}.json`);
  const started = Promise.withResolvers<void>();
  const exit = Promise.withResolvers<DriverExit>();
  // Nobody needs to look at an end that cannot be learned.
  exit.promise.catch(() => undefined);
  await writeFile(file, JSON.stringify(process), { mode: 0o600 });
  try {
    const socket = await connectMonitor(directory, "monitor.sock").catch((cause) => {
      throw new LongshoreError("SANDBOX_INVALID_STATE", "The container has ended.", { cause });
    });
    const wanted = { stdin: spec.stdin, stdout: true, stderr: !spec.tty };
    const streams = processStreams(socket, wanted, (type, body) => {
      if (type === "p") started.resolve();
      else if (type === "f") started.reject(runtimeError("Starting the command", body.toString()));
      else if (type === "x") {
        const record = parseExitRecord(body.toString());
        if (record === undefined) exit.reject(monitorGone());
        else exit.resolve(record);
      }
    });
    const { connection, stdin, stdout, stderr } = streams;
    started.promise.catch(() => undefined);
    const stay = context.sandbox.runtime.life.onEnd(() => void connection.close());
    void connection.closed.then(() => {
      stay();
      started.reject(new LongshoreError("SANDBOX_INVALID_STATE", "The container has ended."));
      exit.reject(monitorGone());
    });
    const onAbort = (): void => started.reject(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      signal?.throwIfAborted();
      const tty = spec.tty ? "1" : "";
      connection.send("X", [name, streamBits(wanted), tty].join("\0"));
      if (spec.tty && spec.terminalSize !== undefined) await streams.resize(spec.terminalSize);
      await started.promise;
    } catch (error) {
      await connection.close();
      // What the monitor does about it is done when it has answered.
      await orders.ask("k", name).catch(() => undefined);
      throw error;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
    // The connection has done its work with the last byte; what the command left behind is ended by `kill`.
    void Promise.allSettled([exit.promise, streams.outputEnded]).then(async () => {
      stdin.close();
      connection.send("q");
      await connection.close();
    });
    return {
      stdin,
      stdout,
      stderr,
      exit: exit.promise,
      async resize(size) {
        // A process that has ended has no terminal to tell.
        if (spec.tty) await streams.resize(size).catch(() => undefined);
      },
      async signal(signalToSend) {
        const number = signalNumber(signalToSend);
        await connection.ask("s", [number]).catch(() => undefined);
      },
      async kill() {
        // A monitor that is gone took its container with it.
        await orders.ask("k", name).catch(() => undefined);
      },
    };
  } finally {
    if (signal?.aborted === true) await rm(file, { force: true });
  }
}
