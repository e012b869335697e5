import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { runRuntime } from "../runtime/run-runtime.ts";
import { runtimeState } from "../sandbox/sandbox-context.ts";
import { containerCgroup, type ContainerContext } from "./container-context.ts";

/** Whether a container is paused; `undefined` without cgroups. */
export async function isFrozen(context: ContainerContext): Promise<boolean | undefined> {
  const { sandbox, spec } = context;
  if (sandbox.runtime.kind.hasOwnKernel) {
    // Its own kernel pauses it, and only that one knows.
    const args = ["state", spec.id];
    const state = await runRuntime(sandbox.runtime, { args, state: runtimeState(sandbox) });
    return /"status":\s*"paused"/.test(state);
  }
  const directory = containerCgroup(context, "freezer");
  if (directory === undefined) return undefined;
  const isV2 = context.sandbox.runtime.hierarchies?.version === 2;
  const file = join(directory, isV2 ? "cgroup.freeze" : "freezer.self_freezing");
  const text = await readFile(file, "utf8").catch(() => "");
  return text.trim() === "1";
}
