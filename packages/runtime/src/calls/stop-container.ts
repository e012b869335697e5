import {
  LongshoreError,
  nanosecondsFromMs,
  type Abortable,
  type StopContainerRequest,
} from "@longshore/core";
import { announceContainer } from "../engine/announce.ts";
import { invalid } from "../engine/check-fields.ts";
import type { Engine } from "../engine/engine.ts";
import type { ContainerEntry } from "../engine/entries.ts";
import { noteContainer } from "../engine/persist.ts";
import { unreachable } from "../engine/requirements.ts";
import { abortable, within } from "../engine/turn-queue.ts";

/** How long a process may take to be gone after SIGKILL, e.g. while the kernel waits for a disk */
const killPatienceMs = 30_000;

export async function stopContainer(
  engine: Engine,
  { containerId, timeout = 0 }: StopContainerRequest,
  { signal }: Abortable = {},
): Promise<void> {
  signal?.throwIfAborted();
  if (!(timeout >= 0)) throw invalid("timeout", "must be 0 or more seconds.");
  const entry = engine.registry.findContainer(containerId);
  if (entry === undefined) return;
  await abortable(stopContainerEntry(engine, entry, timeout * 1_000), signal);
}

/** Joins a stop that is under way; whoever has the least patience decides. */
export function stopContainerEntry(
  engine: Engine,
  entry: ContainerEntry,
  timeoutMs: number,
): Promise<void> {
  const running = entry.stopping;
  if (running !== undefined) {
    running.killWithin(timeoutMs);
    return running.done;
  }
  const patience = createPatience(timeoutMs);
  const done = entry.turn
    .run(() => stop(engine, entry, patience))
    .finally(() => {
      entry.stopping = undefined;
    });
  entry.stopping = { done, killWithin: patience.killWithin };
  return done;
}

async function stop(engine: Engine, entry: ContainerEntry, patience: Patience): Promise<void> {
  const { state } = entry.record;
  if (state === "unknown") await settleUnknown(engine, entry);
  if (state !== "running") return;
  const { driver, ended, sandbox } = entry;
  if (driver === undefined || ended === undefined) throw unreachable(sandbox);
  if (entry.record.isPaused) {
    // What is frozen takes no signal, not even the last one.
    await sandbox.driverTurn.run(async () => driver.resume?.());
    await noteContainer(engine, entry, { isPaused: false });
  }
  const over = patience.begin();
  if (!patience.isOver()) {
    const asked = driver.signal(entry.record.stopSignal);
    asked.catch((error: unknown) =>
      engine.logger.warn({ containerId: entry.id, error }, "the stop signal could not be sent"),
    );
    await Promise.race([ended, over]);
  }
  patience.end();
  // Also when the first process is gone: others of the container may be left.
  if (await within(Promise.all([driver.signal("SIGKILL"), ended]), killPatienceMs)) return;
  throw new LongshoreError(
    "EXECUTION_ERROR",
    `The container ${entry.id} is not gone ${killPatienceMs} ms after SIGKILL.`,
    { details: { containerId: entry.id } },
  );
}

/** Kills what may be left of it; how it ended stays unknown. */
async function settleUnknown(engine: Engine, entry: ContainerEntry): Promise<void> {
  const { sandbox, driver } = entry;
  if (sandbox.sandbox === undefined && !sandbox.record.isTornDown) throw unreachable(sandbox);
  await sandbox.driverTurn.run(async () => driver?.remove());
  await noteContainer(engine, entry, {
    state: "exited",
    exitCode: 255,
    reason: "Error",
    message: "Its end was lost; the exit code is not known.",
    finishedAt: nanosecondsFromMs(Date.now()),
  });
  announceContainer(engine, "stopped", entry);
}

/** Time until the kill, which may get shorter. It runs from the stop signal on. */
interface Patience {
  killWithin(timeoutMs: number): void;
  /** Resolves when it is over. */
  begin(): Promise<void>;
  isOver(): boolean;
  end(): void;
}

function createPatience(firstMs: number): Patience {
  const over = Promise.withResolvers<void>();
  let leftMs = firstMs;
  let endsAtMs = Infinity;
  let timer: NodeJS.Timeout | undefined;
  let isBegun = false;

  const arm = (timeoutMs: number): void => {
    const atMs = performance.now() + timeoutMs;
    if (atMs >= endsAtMs) return;
    endsAtMs = atMs;
    clearTimeout(timer);
    if (timeoutMs <= 0) over.resolve();
    else timer = setTimeout(over.resolve, Math.min(timeoutMs, 2 ** 31 - 1));
  };
  return {
    killWithin(timeoutMs) {
      if (isBegun) arm(timeoutMs);
      else leftMs = Math.min(leftMs, timeoutMs);
    },
    begin() {
      isBegun = true;
      arm(leftMs);
      return over.promise;
    },
    isOver: () => endsAtMs <= performance.now(),
    end: () => clearTimeout(timer),
  };
}
