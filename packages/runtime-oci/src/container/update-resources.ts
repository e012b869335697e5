import { randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LongshoreError, type LinuxContainerResources } from "@longshore/core";
import { rememberLimits } from "../cgroup/remember-limits.ts";
import { readUnreclaimable } from "../cgroup/read-usage.ts";
import { runRuntime } from "../runtime/run-runtime.ts";
import { runtimeState } from "../sandbox/sandbox-context.ts";
import { ociResources } from "../spec/resources.ts";
import type { ContainerContext } from "./container-context.ts";

/**
 * Changes the limits of a container: all, or when one is refused none.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`, `RUNTIME_NOT_SUPPORTED`, `EXECUTION_ERROR` when the kernel refuses
 */
export async function updateResources(
  context: ContainerContext,
  resources: LinuxContainerResources,
): Promise<void> {
  const { sandbox, spec, cgroup, directory } = context;
  if (resources.oomScoreAdj !== undefined && resources.oomScoreAdj !== 0) {
    throw unsupported("oomScoreAdj", "A running container's OOM score cannot be changed.");
  }
  const { devices: _devices, ...limits } = ociResources(resources, [], sandbox.runtime.host);
  if (Object.keys(limits).length === 0) return;
  const { hierarchies } = sandbox.runtime;
  if (hierarchies === undefined || cgroup === undefined) {
    throw unsupported("resources", "Limits need a cgroup, and this container has none.");
  }
  await checkMemory(context, resources.memoryLimitInBytes);
  // Not through a pipe: crun opens its input anew, which nobody can do with a socket, and that is what Node makes.
  const names = Object.keys(limits.unified ?? {});
  const putBack = await rememberLimits(hierarchies, cgroup, names);
  const file = join(directory, `update-${randomBytes(8).toString("hex")}.json`);
  try {
    await writeFile(file, JSON.stringify(limits), { mode: 0o600 });
    await runRuntime(sandbox.runtime, {
      args: ["update", "--resources", file, spec.id],
      state: runtimeState(sandbox),
    });
  } catch (error) {
    // crun leaves what it has changed before it failed.
    await putBack();
    throw error;
  } finally {
    await rm(file, { force: true });
  }
}

/**
 * Version 1 refuses a limit below what is in use, version 2 kills processes until it is kept. That is not what a change of
 * limits is meant to do.
 *
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files
 */
async function checkMemory(context: ContainerContext, limit = 0): Promise<void> {
  const { hierarchies } = context.sandbox.runtime;
  if (hierarchies?.version !== 2 || limit === 0) return;
  const used = await readUnreclaimable(hierarchies, context.cgroup);
  if (limit >= used) return;
  throw new LongshoreError(
    "EXECUTION_ERROR",
    `The container uses ${used} bytes of memory, more than the limit of ${limit}.`,
    { details: { field: "memoryLimitInBytes", usedBytes: used } },
  );
}

function unsupported(field: string, message: string): LongshoreError {
  return new LongshoreError("RUNTIME_NOT_SUPPORTED", message, { details: { field } });
}
