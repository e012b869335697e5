import type { PodSandboxConfig, SandboxDriver } from "@longshore/core";
import type { SandboxNetworkSetup } from "../network/sandbox-network.ts";

/** The network of a sandbox whose driver makes it. It has no name servers, because it reaches none. */
export const driverLoopback: SandboxNetworkSetup = { nameServers: [] };

/** Whether a sandbox asks for no more network than its driver makes by itself. */
export function wantsDriverLoopback(
  { capabilities }: Pick<SandboxDriver, "capabilities">,
  { linux, egress, portMappings = [] }: PodSandboxConfig,
): boolean {
  if (!capabilities.has("loopback") || egress !== undefined || portMappings.length > 0)
    return false;
  return linux?.securityContext?.namespaceOptions?.network === "none";
}
