import {
  LongshoreError,
  type Abortable,
  type DriverExit,
  type DriverProcess,
  type ProcessSpec,
} from "@longshore/core";
import { monitorGone, type Connection } from "../monitor/connection.ts";
import { parseExitRecord } from "../monitor/exit-record.ts";
import { processStreams, streamBits } from "../monitor/session.ts";
import { runtimeError } from "../runtime/run-runtime.ts";
import { connectRunning } from "./connect-running.ts";
import type { ContainerContext } from "./container-context.ts";
import { signalNumber } from "./signal-numbers.ts";

/** What a monitor is asked to start. */
export interface MonitorRequest {
  /** Kind of the message: `X` for a command in the container, `F` for a program at its files */
  readonly type: "X" | "F";
  /** Names the process */
  readonly name: string;
  readonly spec: Pick<ProcessSpec, "stdin" | "tty" | "terminalSize">;
  /** What follows the name and the streams */
  readonly words: readonly string[];
}

export interface MonitorOptions extends Abortable {
  /** The connection that gives orders, for when the process's own has ended */
  readonly orders: Connection;
}

/**
 * Has a container's monitor start a process, and carries its streams. When the connection to this program breaks, the
 * monitor kills it with all that it started.
 *
 * @throws {LongshoreError} `EXECUTION_ERROR` with the monitor's words, `SANDBOX_INVALID_STATE` when the container has ended
 */
export async function runInMonitor(
  context: ContainerContext,
  { type, name, spec, words }: MonitorRequest,
  { signal, orders }: MonitorOptions,
): Promise<DriverProcess> {
  const started = Promise.withResolvers<void>();
  const exit = Promise.withResolvers<DriverExit>();
  // Nobody needs to look at an end that cannot be learned.
  exit.promise.catch(() => undefined);
  const socket = await connectRunning(context.directory);
  const wanted = { stdin: spec.stdin, stdout: true, stderr: !spec.tty };
  const streams = processStreams(socket, wanted, (kind, body) => {
    if (kind === "p") started.resolve();
    else if (kind === "f") started.reject(runtimeError("Starting the command", body.toString()));
    else if (kind === "x") {
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
    connection.send(type, [name, streamBits(wanted), ...words].join("\0"));
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
}
