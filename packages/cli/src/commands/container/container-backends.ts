import type { SandboxBackend } from "@longshore/core";
import { probeRuntime, type RuntimeProbe } from "@longshore/runtime-oci";
import { ociRuntimes } from "./compose-runtime.ts";

/** The OCI runtimes that are offered, each tried out on this machine. */
export function probeContainerRuntimes(): Promise<readonly RuntimeProbe[]> {
  return Promise.all(ociRuntimes.map((binary) => probeRuntime(binary)));
}

/**
 * What a worker says of them. None is weaker than the first, so the choice between them may be left open; runsc is last, because it
 * refuses what others keep.
 */
export function containerBackends(probes: readonly RuntimeProbe[]): readonly SandboxBackend[] {
  return probes.map(({ binary, available, reason }, index) => ({
    name: binary,
    available,
    priority: 10 * (probes.length - index),
    autoSelectable: available,
    ...(!available && { reason }),
  }));
}
