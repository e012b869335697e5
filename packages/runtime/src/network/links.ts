import { access, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { hasCode } from "@longshore/core";
import type { NetworkLease } from "./lease-store.ts";
import { aliasPrefix, type NetworkPlan } from "./network-plan.ts";
import { parseSubnet, type Subnet } from "./subnet.ts";

/** Inputs of `ip -batch`: one command a line, all made of validated values. */

const interfaces = "/sys/class/net";

/** The namespace's side of a sandbox's link. */
export function sandboxBatch(plan: NetworkPlan, lease: NetworkLease): string {
  const { link, mac, address, address6 } = plan.place(lease);
  const { subnet, subnet6, gateway, gateway6, mtu, bridgeMac } = plan;
  const lines = [
    "link set lo up",
    `link add eth0 mtu ${mtu} address ${mac} type veth peer name ${link} mtu ${mtu} netns /proc/${process.pid}/ns/net`,
    `addr add ${address}/${subnet.prefixLength} dev eth0`,
    ...noAutomaticAddress(plan, "eth0"),
  ];
  if (address6 !== undefined) {
    lines.push(`addr add ${address6}/${subnet6?.prefixLength} dev eth0 nodad`);
  }
  // Known from the start, so that no first packet waits for an answer.
  lines.push(
    "link set eth0 up",
    `neigh replace ${gateway} lladdr ${bridgeMac} dev eth0 nud permanent`,
  );
  // Without a default route a sandbox stays shut in even when somebody flushes the host's rules.
  if (lease.isEgressOnly) return batch(lines);
  lines.push(`route add default via ${gateway} dev eth0`);
  if (address6 !== undefined) {
    lines.push(
      `neigh replace ${gateway6} lladdr ${bridgeMac} dev eth0 nud permanent`,
      `route add default via ${gateway6} dev eth0`,
    );
  }
  return batch(lines);
}

/** The host's side. Entries for neighbours are fixed: nobody can claim another's address. */
export function hostBatch(plan: NetworkPlan, lease: NetworkLease, mayReachOthers: boolean): string {
  const { link, mac, address, address6 } = plan.place(lease);
  const lines = [
    ...noAutomaticAddress(plan, link),
    `link set ${link} master ${plan.bridge}`,
    `link set ${link} type bridge_slave isolated ${mayReachOthers ? "off" : "on"}`,
    `link set ${link} up`,
    `neigh replace ${address} lladdr ${mac} dev ${plan.bridge} nud permanent`,
  ];
  if (address6 !== undefined) {
    lines.push(`neigh replace ${address6} lladdr ${mac} dev ${plan.bridge} nud permanent`);
  }
  return batch(lines);
}

export function removeLinkBatch(plan: NetworkPlan, lease: NetworkLease): string {
  const { link, address, address6 } = plan.place(lease);
  const lines = [`link del ${link}`, `neigh del ${address} dev ${plan.bridge}`];
  if (address6 !== undefined) lines.push(`neigh del ${address6} dev ${plan.bridge}`);
  return batch(lines);
}

/** Makes the bridge, which is not there yet. */
export function addBridgeBatch({ bridge, bridgeAlias, bridgeMac, mtu }: NetworkPlan): string {
  return batch([
    `link add ${bridge} mtu ${mtu} address ${bridgeMac} type bridge stp_state 0 mcast_snooping 0`,
    `link set ${bridge} alias "${bridgeAlias}"`,
  ]);
}

/** Gives the bridge what it should have; may be repeated. */
export function bridgeBatch(plan: NetworkPlan): string {
  const { bridge, gateway, gateway6, subnet, subnet6 } = plan;
  const lines = [
    ...noAutomaticAddress(plan, bridge),
    `addr replace ${gateway}/${subnet.prefixLength} dev ${bridge}`,
  ];
  if (subnet6 !== undefined) {
    lines.push(`addr replace ${gateway6}/${subnet6.prefixLength} dev ${bridge} nodad`);
  }
  return batch([...lines, `link set ${bridge} up`]);
}

/** Names of the host's interfaces that begin so. */
export async function linksNamed(prefix: string): Promise<readonly string[]> {
  return (await readdir(interfaces)).filter((name) => name.startsWith(prefix));
}

/** Whether the host has an interface of this name. */
export async function isLink(name: string): Promise<boolean> {
  try {
    await access(join(interfaces, name));
    return true;
  } catch {
    return false;
  }
}

/** Whose the bridge is: what its alias says, or undefined when there is none. */
export async function bridgeOwner(bridge: string): Promise<string | undefined> {
  try {
    return (await readFile(join(interfaces, bridge, "ifalias"), "utf8")).trim();
  } catch (error) {
    // It is not there, or has just gone.
    if (hasCode(error, "ENOENT", "ENODEV")) return undefined;
    throw error;
  }
}

/** Whether any network of ours, of whatever program, is on the host. */
export async function hasOwnBridges(): Promise<boolean> {
  for (const name of await readdir(interfaces)) {
    if ((await bridgeOwner(name))?.startsWith(aliasPrefix) === true) return true;
  }
  return false;
}

/** The fields of `ip -json route` that are used here. */
export interface IpRoute {
  readonly dst?: string;
  readonly dev?: string;
}

/** Subnets that the host has routes to by other interfaces than the bridge. */
export function routedSubnets(routes: readonly IpRoute[], bridge: string): readonly Subnet[] {
  return routes
    .filter(({ dst, dev }) => dev !== bridge && dst !== undefined && dst.includes("/"))
    .flatMap(({ dst = "" }) => {
      try {
        return [parseSubnet(dst)];
      } catch {
        // A route to a single host, or to half of everything.
        return [];
      }
    });
}

function noAutomaticAddress({ kernelHasIpv6 }: NetworkPlan, link: string): readonly string[] {
  return kernelHasIpv6 ? [`link set ${link} addrgenmode none`] : [];
}

function batch(lines: readonly string[]): string {
  return `${lines.join("\n")}\n`;
}
