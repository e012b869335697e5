import { LongshoreError } from "@longshore/core";
import { announceContainer } from "../engine/announce.ts";
import type { Engine } from "../engine/engine.ts";
import type { ContainerEntry } from "../engine/entries.ts";
import { unreachable } from "../engine/requirements.ts";
import { sandboxDemand } from "../engine/sandbox-demand.ts";
import { fileOwners } from "./container-files.ts";
import { stopContainerEntry } from "./stop-container.ts";

/** Kills a container when it runs, and gives everything of it back. Calls at the same time are one. */
export function removeContainerEntry(engine: Engine, entry: ContainerEntry): Promise<void> {
  entry.removing ??= remove(engine, entry).finally(() => {
    entry.removing = undefined;
  });
  return entry.removing;
}

async function remove(engine: Engine, entry: ContainerEntry): Promise<void> {
  const { id, sandbox } = entry;
  if (entry.isGone) return;
  if (sandbox.sandbox === undefined && !sandbox.isDown) throw unreachable(sandbox);
  // Ends a start that is under way.
  entry.leaving.abort(
    new LongshoreError("SANDBOX_INVALID_STATE", `The container ${id} is being removed.`, {
      details: { containerId: id },
    }),
  );
  await stopContainerEntry(engine, entry, 0);
  await entry.turn.run(async () => {
    entry.pending.end();
    await sandbox.driverTurn.run(async () => entry.driver?.remove());
    for (const owner of fileOwners(entry.record)) await engine.images.releaseRootfs(owner);
    await entry.writeTurn.run(async () => {
      await engine.records.removeContainer(sandbox.id, id);
      entry.isGone = true;
    });
    sandbox.containers.delete(id);
    sandbox.demands.delete(id);
    engine.registry.containers.delete(id);
    entry.reservation[Symbol.dispose]();
    entry.over.resolve();
    engine.admission.change(sandbox.id, sandboxDemand(sandbox.record, sandbox.demands.values()));
    announceContainer(engine, "deleted", entry);
  });
}
