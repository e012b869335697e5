import {
  nanosecondsFromMs,
  type DriverContainer,
  type DriverExit,
  type Nanoseconds,
} from "@longshore/core";
import { announceContainer } from "../engine/announce.ts";
import type { Engine } from "../engine/engine.ts";
import type { ContainerEntry } from "../engine/entries.ts";
import { noteContainer } from "../engine/persist.ts";

/** Writes the end of a container's first process down when it comes. */
export function watchExit(engine: Engine, entry: ContainerEntry, driver: DriverContainer): void {
  entry.ended = driver.exit.then(
    (exit) => settle(engine, entry, exit),
    (error: unknown) => lose(engine, entry, error),
  );
}

async function settle(engine: Engine, entry: ContainerEntry, exit: DriverExit): Promise<void> {
  if (engine.isClosed() || entry.record.state === "exited") return;
  await noteContainer(engine, entry, {
    state: "exited",
    isPaused: false,
    exitCode: exit.exitCode,
    reason: reasonOf(exit),
    finishedAt: later(exit.finishedAt || nanosecondsFromMs(Date.now()), entry.record.startedAt),
  });
  announceContainer(engine, "stopped", entry);
}

/** What became of it cannot be learned; stopping it settles that. */
async function lose(engine: Engine, entry: ContainerEntry, error: unknown): Promise<void> {
  if (engine.isClosed() || entry.record.state === "exited") return;
  engine.logger.error({ containerId: entry.id, error }, "the end of a container cannot be learned");
  await noteContainer(engine, entry, {
    state: "unknown",
    message: error instanceof Error ? error.message.slice(0, 4_096) : "Its end cannot be learned.",
  });
}

/** No container ends before it begins, whatever the clock was set to meanwhile. */
function later(a: Nanoseconds, b: Nanoseconds): Nanoseconds {
  return a > b ? a : b;
}

function reasonOf({ exitCode, isOomKilled }: DriverExit): string {
  if (isOomKilled && exitCode !== 0) return "OOMKilled";
  return exitCode === 0 ? "Completed" : "Error";
}
