import { readdirSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { hasCode } from "@longshore/core";
import { release } from "../cgroup/release.ts";
import { isRootless, runtimeState } from "../sandbox/sandbox-context.ts";
import { endUnwatched } from "./end-unwatched.ts";
import type { ContainerContext } from "./container-context.ts";
import { removeContainerRecord } from "./container-record.ts";
import { removeSharedRoot, rootName, sharedRoot } from "./shared-roots.ts";

/**
 * Takes away what is left of a container whose monitor has ended: processes, mounts, cgroups, the OCI runtime's notes. What
 * is gone already is no error.
 */
export async function removeContainer(context: ContainerContext): Promise<void> {
  const { sandbox, spec, cgroup, directory } = context;
  const { runtime } = sandbox;
  const { id } = spec;
  // Of a sandbox that nobody knows any more it is not known either whether it had a user namespace.
  const directories = isRootless(runtime)
    ? [directory]
    : [directory, sharedRoot(id)].filter(isHeld);
  await release({ runtime, cgroup, directories });
  await endUnwatched(context);
  if (!isRootless(runtime)) removeSharedRoot(id);
  // The OCI runtime's own `delete` does no more, as there are no hooks, and would take tens of milliseconds.
  removeNotes(runtimeState(sandbox), id);
  sandbox.pids.delete(id);
  removeContainerRecord(sandbox.spec.directory, id);
}

/** runc and crun have a directory for each container; runsc has files that begin with its id and `_sandbox:`. */
function removeNotes(directory: string, id: string): void {
  let names: readonly string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    // No container was started here yet.
    if (hasCode(error, "ENOENT")) return;
    throw error;
  }
  for (const name of names.filter((each) => each === id || each.startsWith(`${id}_sandbox:`))) {
    rmSync(join(directory, name), { recursive: true, force: true });
  }
}

/** Whether a root filesystem may be mounted there: the kernel lets no mount point go, and looks for no other one then. */
function isHeld(directory: string): boolean {
  try {
    rmdirSync(join(directory, rootName));
    return false;
  } catch (error) {
    return !hasCode(error, "ENOENT");
  }
}
