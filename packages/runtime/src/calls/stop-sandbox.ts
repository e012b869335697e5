import { nanosecondsFromMs, type DriverSandbox } from "@longshore/core";
import { announceContainer, announceSandbox } from "../engine/announce.ts";
import type { Engine } from "../engine/engine.ts";
import type { ContainerEntry, SandboxEntry } from "../engine/entries.ts";
import { noteContainer, noteStopping, persistSandbox } from "../engine/persist.ts";
import { notReady, unreachable } from "../engine/requirements.ts";
import { within } from "../engine/turn-queue.ts";
import { removeContainerEntry } from "./remove-container.ts";

/** How long the end of a process is waited for after its sandbox is gone */
const exitPatienceMs = 5_000;

/** Ends what runs and gives everything back. Calls at the same time are one; one that failed may be tried again. */
export function stopSandboxEntry(engine: Engine, entry: SandboxEntry): Promise<void> {
  if (entry.record.isTornDown) return Promise.resolve();
  entry.stopping ??= stop(engine, entry).finally(() => {
    entry.stopping = undefined;
  });
  return entry.stopping;
}

async function stop(engine: Engine, entry: SandboxEntry): Promise<void> {
  await takeDownEntry(engine, entry);
  await persistSandbox(engine, entry, { isTornDown: true });
  tellStopped(engine, entry);
}

function tellStopped(engine: Engine, entry: SandboxEntry): void {
  if (entry.isStopTold) return;
  entry.isStopTold = true;
  announceSandbox(engine, "stopped", entry);
}

function takeDownEntry(engine: Engine, entry: SandboxEntry): Promise<void> {
  if (entry.isDown) return Promise.resolve();
  entry.takingDown ??= takeDown(engine, entry).finally(() => {
    entry.takingDown = undefined;
  });
  return entry.takingDown;
}

async function takeDown(engine: Engine, entry: SandboxEntry): Promise<void> {
  const { id, leaving } = entry;
  if (entry.sandbox === undefined && entry.record.stage === "ready") throw unreachable(entry);
  leaving.abort(notReady(entry));
  await Promise.allSettled(entry.creating);
  if (entry.record.stage === "ready") await noteStopping(engine, entry);
  // Not after the containers' own turns: a stop with much patience would hold them.
  await entry.driverTurn.run(async () => entry.sandbox?.teardown());
  await Promise.all([...entry.containers.values()].map((one) => settle(engine, one)));
  if (entry.record.hasDriverLoopback !== true) await engine.network.tearDown(id);
  entry.isReady = false;
  entry.isDown = true;
}

/** No container of a sandbox that is gone is anything but exited. */
async function settle(engine: Engine, entry: ContainerEntry): Promise<void> {
  entry.pending.end();
  if (entry.ended !== undefined) await within(entry.ended, exitPatienceMs);
  const { state } = entry.record;
  if (state === "exited") return;
  const neverStarted = state === "created";
  await noteContainer(engine, entry, {
    state: "exited",
    finishedAt: nanosecondsFromMs(Date.now()),
    exitCode: neverStarted ? 128 : 255,
    reason: neverStarted ? "StartError" : "Error",
    message: neverStarted
      ? "Its sandbox stopped before it was started."
      : "Its sandbox is gone, and its exit code is not known.",
  });
  announceContainer(engine, "stopped", entry);
}

/** Stops the sandbox when needed, and removes it with its containers. */
export function removeSandboxEntry(engine: Engine, entry: SandboxEntry): Promise<void> {
  entry.removing ??= remove(engine, entry).finally(() => {
    entry.removing = undefined;
  });
  return entry.removing;
}

async function remove(engine: Engine, entry: SandboxEntry): Promise<void> {
  const { id } = entry;
  // That it is down need not be written down when all that is written goes at once.
  await (entry.stopping ?? takeDownEntry(engine, entry));
  tellStopped(engine, entry);
  await Promise.all([...entry.containers.values()].map((one) => removeContainerEntry(engine, one)));
  if (engine.registry.sandboxes.get(id) !== entry) return;
  await entry.writeTurn.run(async () => {
    await engine.records.removeSandbox(id);
    entry.isGone = true;
  });
  engine.registry.sandboxes.delete(id);
  entry.reservation[Symbol.dispose]();
  engine.admission.release(id);
  announceSandbox(engine, "deleted", entry);
}

/** A sandbox that dies by itself is put away like one that was stopped. */
export function watchSandbox(engine: Engine, entry: SandboxEntry, sandbox: DriverSandbox): void {
  const onEnd = (): void => {
    if (entry.leaving.signal.aborted || engine.closing.aborted) return;
    entry.isReady = false;
    stopSandboxEntry(engine, entry).catch((error: unknown) =>
      engine.logger.error(
        { podSandboxId: entry.id, error },
        "a sandbox that ended was not put away",
      ),
    );
  };
  sandbox.ended.then(onEnd, onEnd);
}
