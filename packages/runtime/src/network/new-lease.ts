import { LongshoreError } from "@longshore/core";
import { parseEgressRules } from "../egress/egress-rules.ts";
import { secretSwap } from "../egress/secret-swap.ts";
import { inUse, parsePortMappings, portsConflict } from "./host-ports.ts";
import type { LeaseStore, NetworkLease } from "./lease-store.ts";
import type { NetworkPlan } from "./network-plan.ts";
import type { SandboxNetworkSpec } from "./sandbox-network.ts";
import { subnetCapacity } from "./subnet.ts";

/**
 * What a sandbox asks for, with an address that nobody has. The caller adds it to the store at once.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`; `RUNTIME_NOT_SUPPORTED`; `STATE_CONFLICT` for a host port of another
 *   sandbox; `POOL_EXHAUSTED`
 */
export function newLease(
  { sandboxId, config }: SandboxNetworkSpec,
  store: LeaseStore,
  { subnet }: NetworkPlan,
): NetworkLease {
  const hostPorts = parsePortMappings(config.portMappings ?? []);
  const isEgressOnly = config.egress !== undefined;
  if (config.linux?.securityContext?.namespaceOptions?.network === "none") {
    if (isEgressOnly) throw needsNetwork("egress");
    if (hostPorts.length > 0) throw needsNetwork("portMappings");
    return { sandboxId, hostPorts, isEgressOnly };
  }
  if (config.egress !== undefined) {
    // Said before anything is made.
    secretSwap(config.egress.secrets ?? [], parseEgressRules(config.egress.allow, "egress.allow"));
  }
  for (const port of hostPorts) {
    for (const other of store.leases.values()) {
      if (!other.hostPorts.some((taken) => portsConflict(port, taken))) continue;
      throw inUse(port, `sandbox ${other.sandboxId}`);
    }
  }
  const index = store.takeIndex(subnetCapacity(subnet));
  if (index === undefined) {
    throw new LongshoreError("POOL_EXHAUSTED", `No address is free in ${subnet.text}.`, {
      details: { subnet: subnet.text },
    });
  }
  return { sandboxId, index, hostPorts, isEgressOnly };
}

/** For what cannot be had without a network of the pod's own. */
export function needsNetwork(field: string): LongshoreError {
  return new LongshoreError("VALIDATION_ERROR", `${field} needs the pod's own network.`, {
    details: { field, expected: 'network "pod"' },
  });
}
