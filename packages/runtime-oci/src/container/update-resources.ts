import { LongshoreError, type LinuxContainerResources } from "@longshore/core";
import { runRuntime } from "../runtime/run-runtime.ts";
import { runtimeState } from "../sandbox/sandbox-context.ts";
import { ociResources } from "../spec/resources.ts";
import type { ContainerContext } from "./container-context.ts";

/**
 * Changes the limits of a container: all, or when one is refused none. The OCI runtime puts back what it has changed when it
 * fails half-way.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`, `RUNTIME_NOT_SUPPORTED`, `EXECUTION_ERROR` when the kernel refuses
 */
export async function updateResources(
  { sandbox, spec, cgroup }: ContainerContext,
  resources: LinuxContainerResources,
): Promise<void> {
  if (resources.oomScoreAdj !== undefined && resources.oomScoreAdj !== 0) {
    throw unsupported("oomScoreAdj", "A running container's OOM score cannot be changed.");
  }
  const { devices: _devices, ...limits } = ociResources(resources, [], sandbox.runtime.host);
  if (Object.keys(limits).length === 0) return;
  if (cgroup === undefined) {
    throw unsupported("resources", "Limits need a cgroup, and this container has none.");
  }
  await runRuntime(sandbox.runtime, {
    args: ["update", "--resources", "-", spec.id],
    state: runtimeState(sandbox),
    input: JSON.stringify(limits),
  });
}

function unsupported(field: string, message: string): LongshoreError {
  return new LongshoreError("RUNTIME_NOT_SUPPORTED", message, { details: { field } });
}
