import type { ContainerConfig, NamespaceOption, PodSandboxConfig } from "@longshore/core";
import { invalid } from "./spec-error.ts";

/**
 * The namespaces of a container in its pod. What is the pod's, the sandbox decides: a container's `"pod"` means whatever
 * that is, so a container cannot have the host's when its pod has not.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` when the container asks for what its sandbox was not made with
 */
export function podNamespaces(sandbox: PodSandboxConfig, config: ContainerConfig): NamespaceOption {
  const pod = sandbox.linux?.securityContext?.namespaceOptions ?? {};
  const own = config.linux?.securityContext?.namespaceOptions ?? {};
  for (const type of ["network", "ipc", "pid"] as const) {
    if (own[type] === "node" && pod[type] !== "node") {
      throw invalid(type, `The sandbox was not made with the host's ${type} namespace.`);
    }
  }
  if (own.network === "none" && pod.network !== "none") {
    throw invalid("network", "Only a whole sandbox can be without a network.");
  }
  const usernsOptions = own.usernsOptions ?? pod.usernsOptions;
  if (
    pod.usernsOptions !== undefined &&
    JSON.stringify(canonical(pod)) !== JSON.stringify(canonical({ usernsOptions }))
  ) {
    throw invalid("usernsOptions", "A container has the user namespace of its sandbox.");
  }
  return {
    network: pod.network ?? "pod",
    ipc: pod.ipc ?? "pod",
    pid: own.pid ?? pod.pid ?? "pod",
    ...(own.targetId !== undefined && { targetId: own.targetId }),
    ...(usernsOptions && { usernsOptions }),
  };
}

function canonical({ usernsOptions }: NamespaceOption): unknown {
  if (usernsOptions === undefined || usernsOptions.mode === "node") return "node";
  const { uids, gids } = usernsOptions;
  return [uids, gids].map((mappings) =>
    mappings.map(({ containerId, hostId, length }) => [containerId, hostId, length]),
  );
}
