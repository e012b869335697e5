import { LongshoreError } from "@longshore/core";
import type { ContainerRecord } from "../records/container-record.ts";
import type { SandboxRecord } from "../records/sandbox-record.ts";
import type { Engine } from "./engine.ts";
import type { ContainerEntry, SandboxEntry } from "./entries.ts";

/** Writes a change down, and then makes it true here. Changes of one thing follow each other. */
export function persistSandbox(
  engine: Engine,
  entry: SandboxEntry,
  change: Partial<SandboxRecord>,
): Promise<void> {
  return entry.writeTurn.run(async () => {
    if (entry.isGone) return;
    assertOpen(engine);
    const record = { ...entry.record, ...change };
    await engine.records.writeSandbox(record);
    entry.record = record;
  });
}

/** From then on it is not ready, also for an engine that comes after a crash. */
export function noteStopping(engine: Engine, entry: SandboxEntry): Promise<void> {
  return entry.writeTurn.run(async () => {
    if (entry.isGone) return;
    assertOpen(engine);
    await engine.records.noteStopping(entry.id);
    entry.record = { ...entry.record, stage: "notready" };
  });
}

export function persistContainer(
  engine: Engine,
  entry: ContainerEntry,
  change: Partial<ContainerRecord>,
): Promise<void> {
  return entry.writeTurn.run(async () => {
    if (entry.isGone) return;
    assertOpen(engine);
    const record = { ...entry.record, ...change };
    await engine.records.writeContainer(record);
    entry.record = record;
    if (record.state === "exited") entry.over.resolve();
  });
}

/** For what has happened already: it is true here even when it cannot be written down, and is learned anew after a restart. */
export async function noteContainer(
  engine: Engine,
  entry: ContainerEntry,
  change: Partial<ContainerRecord>,
): Promise<void> {
  try {
    await persistContainer(engine, entry, change);
  } catch (error) {
    engine.logger.error({ containerId: entry.id, error }, "a container's record was not written");
    entry.record = { ...entry.record, ...change };
    if (entry.record.state === "exited") entry.over.resolve();
  }
}

/** The directory may be another engine's by now. */
function assertOpen(engine: Engine): void {
  if (engine.isClosed()) throw new LongshoreError("RUNTIME_UNAVAILABLE", "The runtime is closed.");
}
