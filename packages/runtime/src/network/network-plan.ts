import { createHash } from "node:crypto";
import type { NetworkLease } from "./lease-store.ts";
import { addressAt, type Subnet } from "./subnet.ts";

/** Begins what is written on every bridge of ours */
export const aliasPrefix = "longshore ";

/** Names and addresses of a network, all of which follow from the bridge, its directory and its subnets. */
export interface NetworkPlan {
  readonly bridge: string;
  /** Written on the bridge, so that nobody else's is taken for ours */
  readonly bridgeAlias: string;
  readonly bridgeMac: string;
  /** Begins the names of the host's ends of the sandboxes' links; no other network's begin so */
  readonly linkPrefix: string;
  readonly mtu: number;
  /** Whether the kernel knows IPv6, used here or not */
  readonly kernelHasIpv6: boolean;
  readonly subnet: Subnet;
  readonly subnet6: Subnet | undefined;
  readonly gateway: string;
  readonly gateway6: string | undefined;
  place(lease: Pick<NetworkLease, "index" | "isEgressOnly">): SandboxPlace;
}

/** Where a sandbox is on the network. */
interface SandboxPlace {
  /** The host's end of its link */
  readonly link: string;
  readonly mac: string;
  readonly address: string;
  readonly address6: string | undefined;
}

export interface NetworkPlanOptions {
  readonly bridge: string;
  readonly directory: string;
  readonly subnet: Subnet;
  readonly subnet6: Subnet | undefined;
  readonly mtu: number;
  readonly kernelHasIpv6: boolean;
}

/** Identity of a network, known before its subnets are. */
export function networkIdentity(
  bridge: string,
  directory: string,
): Pick<NetworkPlan, "bridgeAlias" | "linkPrefix"> {
  const hash = identityHash(bridge, directory);
  // 15 characters are a name's limit: this leaves five for the place, base 36.
  return { bridgeAlias: aliasPrefix + hash, linkPrefix: `ls${hash.slice(0, 7)}-` };
}

export function networkPlan(options: NetworkPlanOptions): NetworkPlan {
  const { bridge, directory, subnet, subnet6, mtu, kernelHasIpv6 } = options;
  const hash = identityHash(bridge, directory);
  // Locally administered; a fixed one keeps the neighbour entries of sandboxes true when the bridge is made again.
  const mac = (index: number): string => macAddress(hash, index);
  return {
    bridge,
    ...networkIdentity(bridge, directory),
    bridgeMac: mac(1),
    mtu,
    kernelHasIpv6,
    subnet,
    subnet6,
    gateway: addressAt(subnet, 1),
    gateway6: subnet6 === undefined ? undefined : addressAt(subnet6, 1),
    place: ({ index = 0, isEgressOnly }) => ({
      link: networkIdentity(bridge, directory).linkPrefix + index.toString(36),
      mac: mac(index),
      address: addressAt(subnet, index),
      address6: subnet6 === undefined || isEgressOnly ? undefined : addressAt(subnet6, index),
    }),
  };
}

function macAddress(hash: string, index: number): string {
  const digits = `02${hash.slice(0, 4)}${index.toString(16).padStart(6, "0")}`;
  return digits.match(/../g)?.join(":") ?? "";
}

function identityHash(bridge: string, directory: string): string {
  return createHash("sha256").update(`${bridge}\0${directory}`).digest("hex").slice(0, 16);
}
