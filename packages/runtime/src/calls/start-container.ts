import {
  LongshoreError,
  nanosecondsFromMs,
  type Abortable,
  type ContainerLog,
  type ContainerRef,
  type DriverContainer,
} from "@longshore/core";
import { announceContainer } from "../engine/announce.ts";
import type { Engine } from "../engine/engine.ts";
import type { ContainerEntry } from "../engine/entries.ts";
import { noteContainer } from "../engine/persist.ts";
import { requireUp, unreachable, wrapped } from "../engine/requirements.ts";
import { anySignal, untilUndone } from "../engine/turn-queue.ts";
import { holdFiles, prepareLog } from "./container-files.ts";
import { driverContainerSpec } from "./container-spec.ts";
import { watchExit } from "./watch-exit.ts";

export async function startContainer(
  engine: Engine,
  { containerId }: ContainerRef,
  { signal }: Abortable = {},
): Promise<void> {
  signal?.throwIfAborted();
  engine.closing.throwIfAborted();
  const entry = engine.registry.getContainer(containerId);
  await untilUndone(
    entry.turn.run(async () => {
      // Not written down: a driver that has it after a crash says so, and else nothing of it is there.
      entry.isStarting = true;
      try {
        await start(engine, entry, signal);
      } finally {
        entry.isStarting = false;
      }
    }, signal),
    signal,
  );
}

async function start(
  engine: Engine,
  entry: ContainerEntry,
  given: AbortSignal | undefined,
): Promise<void> {
  const { sandbox, record } = entry;
  const signal = anySignal(given, entry.leaving.signal, sandbox.leaving.signal, engine.closing);
  signal.throwIfAborted();
  if (record.state !== "created") {
    throw new LongshoreError(
      "SANDBOX_INVALID_STATE",
      `The container ${entry.id} is ${record.state}; only one that is created can be started.`,
      { details: { containerId: entry.id, state: record.state } },
    );
  }
  const up = requireUp(sandbox);
  let driver: DriverContainer;
  let startedAt = 0n;
  try {
    await holdAgain(engine, entry, signal);
    const log = await logOf(engine, entry);
    driver = await sandbox.driverTurn.run(() => {
      const attach = entry.pending.requests();
      // Before, for a process may have ended when its start is told.
      startedAt = nanosecondsFromMs(Date.now());
      const spec = driverContainerSpec(engine, entry, { attach, log });
      const terminalSize = entry.pending.terminalSize();
      const process = { ...spec.process, ...(terminalSize !== undefined && { terminalSize }) };
      return up.start({ ...spec, process }, { signal });
    }, signal);
  } catch (error) {
    // Nothing of it stays, so that it may be tried again.
    if (signal.aborted) throw signal.reason;
    const failure = wrapped(error, "EXECUTION_ERROR");
    await fail(engine, entry, failure);
    throw failure;
  }
  entry.driver = driver;
  await noteContainer(engine, entry, {
    state: "running",
    startedAt,
    ...(driver.user !== undefined && { user: driver.user }),
  });
  announceContainer(engine, "started", entry);
  watchExit(engine, entry, driver);
  await entry.pending.begin(driver.sessions);
}

async function fail(engine: Engine, entry: ContainerEntry, { message }: Error): Promise<void> {
  await noteContainer(engine, entry, {
    state: "exited",
    exitCode: 128,
    reason: "StartError",
    message: message.slice(0, 4_096),
    finishedAt: nanosecondsFromMs(Date.now()),
  });
  entry.pending.end();
  announceContainer(engine, "stopped", entry);
}

/** After a restart the files must be asked for again: what showed them may have ended with the other process. */
export async function holdAgain(
  engine: Engine,
  entry: ContainerEntry,
  signal: AbortSignal,
): Promise<void> {
  if (entry.isHeld) return;
  const { sandbox, record } = entry;
  const { driver } = sandbox;
  if (driver === undefined) throw unreachable(sandbox);
  const { rootfs, driverMounts } = await holdFiles(engine, { ...record, driver, sandbox, signal });
  entry.record = { ...entry.record, rootfs, driverMounts };
  entry.isHeld = true;
}

async function logOf(
  { logLimits }: Engine,
  { record, sandbox }: ContainerEntry,
): Promise<ContainerLog | undefined> {
  const { logPath } = record;
  const { logDirectory } = sandbox.config;
  if (logPath === undefined || logDirectory === undefined) return undefined;
  return prepareLog(logPath, logDirectory, logLimits);
}
