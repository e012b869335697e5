import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { hasCode, startTimeOf } from "@longshore/core";
import { runtimeState } from "../sandbox/sandbox-context.ts";
import type { ContainerContext } from "./container-context.ts";

/**
 * Kills the first process of a container that has no cgroup and whose monitor has ended, by the OCI runtime's notes; what it
 * started ends with its process namespace.
 */
export async function endUnwatched({ sandbox, spec }: ContainerContext): Promise<void> {
  const { hierarchies } = sandbox.runtime;
  if (hierarchies !== undefined) return;
  const path = join(runtimeState(sandbox), spec.id, "state.json");
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return;
  // runc's own file, in the driver's directory.
  const { init_process_pid: pid, init_process_start: start } = JSON.parse(text) as {
    readonly init_process_pid: number;
    readonly init_process_start: number;
  };
  if ((await startTimeOf(pid)) !== String(start)) return;
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!hasCode(error, "ESRCH")) throw error;
  }
}
