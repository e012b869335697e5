import type { Socket } from "node:net";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { LongshoreError, type DriverExit } from "@longshore/core";
import { monitorGone, openConnection, type Connection } from "../monitor/connection.ts";
import { parseExitRecord } from "../monitor/exit-record.ts";
import { parseAccounts, type Accounts } from "../spec/resolve-user.ts";
import { monitorFailure } from "../monitor/launch-monitor.ts";

/** The connection to a container's monitor that gives orders. */
export interface ControlledMonitor {
  readonly connection: Connection;
  /** Resolves when the root filesystem is there, with its accounts if the monitor could read them. Rejects with what the monitor said when it cannot work. */
  readonly mounted: Promise<Accounts | undefined>;
  /** The process's id, or why it could not be started */
  readonly started: Promise<number | { readonly failure: string }>;
  readonly exit: Promise<DriverExit>;
  /** Kills all that it started, and resolves when it is gone itself */
  stop(): Promise<void>;
}

/** It kills at once, unless a disk or a network filesystem holds a process. */
const stopTimeoutMs = 30_000;

/** Listens to what a monitor tells of its container. */
export function controlMonitor(socket: Socket, directory: string): ControlledMonitor {
  const mounted = Promise.withResolvers<Accounts | undefined>();
  const started = Promise.withResolvers<number | { readonly failure: string }>();
  const exit = Promise.withResolvers<DriverExit>();
  let isOver = false;
  const connection = openConnection(socket, (type, body) => {
    if (type === "m") mounted.resolve(toAccounts(body));
    else if (type === "p") started.resolve(Number(body.toString("latin1")));
    else if (type === "f") started.resolve({ failure: body.toString() });
    else if (type === "x") {
      const record = parseExitRecord(body.toString());
      isOver = true;
      if (record === undefined) exit.reject(monitorGone());
      else exit.resolve(record);
    }
  });
  for (const { promise } of [mounted, started, exit]) promise.catch(() => undefined);
  void connection.closed.then(async () => {
    // All that can be known was told; a process that has ended was started.
    if (isOver) return;
    const failure = await monitorFailure(directory);
    mounted.reject(failure);
    started.reject(failure);
    // It may have been killed after it wrote down how the process ended.
    const record = await readExitRecord(directory);
    if (record === undefined) exit.reject(monitorGone());
    else exit.resolve(record);
  });
  return {
    connection,
    mounted: mounted.promise,
    started: started.promise,
    exit: exit.promise,
    async stop() {
      // One that is gone has nothing to kill.
      await inTime(connection.ask("k").catch(() => undefined));
      connection.send("b");
      await inTime(connection.closed);
    },
  };
}

/** Two texts, each after its length; nothing when they were not read. */
function toAccounts(body: Buffer): Accounts | undefined {
  if (body.length === 0) return undefined;
  const end = 4 + body.readUInt32BE(0);
  return parseAccounts(body.toString("utf8", 4, end), body.toString("utf8", end + 4));
}

/** Waits for a monitor, but not for ever: one that is stopped holds its socket open and never answers. */
async function inTime(answer: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const message = `The container's monitor has not answered for ${stopTimeoutMs} ms; let its process go on, or end it.`;
    late.reject(new LongshoreError("IO_ERROR", message));
  }, stopTimeoutMs);
  try {
    await Promise.race([answer, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** How a container's process ended, as its monitor wrote it down. */
async function readExitRecord(directory: string): Promise<DriverExit | undefined> {
  const text = await readFile(join(directory, "exit.json"), "utf8").catch(() => "");
  return parseExitRecord(text);
}

/** Stands for a monitor that has ended before this program began. */
export function endedMonitor(directory: string): ControlledMonitor {
  const exit = readExitRecord(directory).then((record) => {
    if (record === undefined) throw monitorGone();
    return record;
  });
  exit.catch(() => undefined);
  const gone = Promise.reject(monitorGone());
  gone.catch(() => undefined);
  return {
    connection: {
      send: () => undefined,
      ask: async () => {
        throw monitorGone();
      },
      closed: Promise.resolve(),
      close: async () => undefined,
    },
    mounted: gone,
    started: gone,
    exit,
    stop: async () => undefined,
  };
}
