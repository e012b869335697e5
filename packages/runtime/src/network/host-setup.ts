import { readFile } from "node:fs/promises";
import { LongshoreError } from "@longshore/core";
import type { BridgeNetworkOptions } from "./bridge-network-options.ts";
import {
  enableForwarding,
  readSysctl,
  restoreForwarding,
  writeSysctl,
  type ForwardingState,
} from "./forwarding.ts";
import {
  addBridgeBatch,
  bridgeBatch,
  bridgeOwner,
  hasOwnBridges,
  routedSubnets,
  type IpRoute,
} from "./links.ts";
import { withHostLock } from "./network-lock.ts";
import type { NetnsPrograms } from "./netns-file.ts";
import { networkIdentity, networkPlan, type NetworkPlan } from "./network-plan.ts";
import {
  chooseSubnet,
  chooseSubnet6,
  readNetworkState,
  writeNetworkState,
  type NetworkState,
} from "./network-state.ts";
import { parseSubnet } from "./subnet.ts";
import { findSystemCommand, runSystemCommand } from "./system-command.ts";

export interface BridgePrograms extends NetnsPrograms {
  readonly nft: string;
}

/** The host's side of a network, as it was made. */
export interface HostNetwork {
  readonly plan: NetworkPlan;
  readonly uplinks: ForwardingState["uplinks"];
}

export interface HostNetworkOptions extends BridgeNetworkOptions {
  readonly name: string;
  /** Whether sandboxes of an earlier run have addresses */
  readonly hasLeases: boolean;
}

/** @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` for one that is not installed */
export async function bridgePrograms(): Promise<BridgePrograms> {
  const [ip = "", nft = "", unshare = "", nsenter = "", mount = "", umount = ""] =
    await Promise.all(
      ["ip", "nft", "unshare", "nsenter", "mount", "umount"].map(findSystemCommand),
    );
  return { ip, nft, unshare, nsenter, mount, umount };
}

/**
 * Makes the bridge, or takes over the one of an earlier run, and lets the host forward.
 *
 * @throws {LongshoreError} `CONFIG_ERROR` for subnets that cannot be had; `STATE_CONFLICT` for a bridge of another
 *   network
 */
export function prepareHost(
  options: HostNetworkOptions,
  programs: BridgePrograms,
): Promise<HostNetwork> {
  return withHostLock(() => prepare(options, programs));
}

async function prepare(
  options: HostNetworkOptions,
  programs: BridgePrograms,
): Promise<HostNetwork> {
  const { name, directory } = options;
  const identity = networkIdentity(name, directory);
  const owner = await bridgeOwner(name);
  if (owner !== undefined && owner !== identity.bridgeAlias) {
    throw new LongshoreError(
      "STATE_CONFLICT",
      `The interface ${name} belongs to another network.`,
      {
        details: { field: "name", bridge: name },
      },
    );
  }
  const routes = await listRoutes(programs.ip, "-4");
  const routes6 = await listRoutes(programs.ip, "-6");
  const state = await chooseSubnets(options, [...routes, ...routes6]);
  const hasIpv6 = await wantsIpv6(options, routes6);
  const kernelHasIpv6 = (await readSysctl("ipv6/conf/all/disable_ipv6")) !== "";
  const plan = networkPlan({
    kernelHasIpv6,
    bridge: name,
    directory,
    subnet: parseSubnet(state.subnet),
    subnet6: hasIpv6 ? parseSubnet(state.subnet6) : undefined,
    mtu: options.mtu ?? (await uplinkMtu([...routes, ...routes6])),
  });
  await writeNetworkState(directory, state);
  const { uplinks } = await enableForwarding({ hasIpv6 });
  await makeBridge(plan, programs.ip, owner !== undefined);
  return { plan, uplinks };
}

/** Takes the bridge away, and puts the host's settings back when it was the last one. */
export function takeDownHost({ plan }: HostNetwork, { ip }: BridgePrograms): Promise<void> {
  return withHostLock(async () => {
    if ((await bridgeOwner(plan.bridge)) === plan.bridgeAlias) {
      await runSystemCommand([ip, "link", "del", plan.bridge]);
    }
    if (!(await hasOwnBridges())) await restoreForwarding();
  });
}

async function makeBridge(plan: NetworkPlan, ip: string, isThere: boolean): Promise<void> {
  const { bridge } = plan;
  if (!isThere) await runSystemCommand([ip, "-batch", "-"], addBridgeBatch(plan));
  // Answers to 127.0.0.1 of the host come from sandboxes; the rules drop what they send there by themselves.
  await writeSysctl(`ipv4/conf/${bridge}/route_localnet`, "1");
  await writeSysctl(`ipv4/conf/${bridge}/send_redirects`, "0");
  await writeSysctl(`ipv4/conf/${bridge}/accept_redirects`, "0");
  if (plan.kernelHasIpv6) {
    await writeSysctl(`ipv6/conf/${bridge}/accept_ra`, "0");
    await writeSysctl(`ipv6/conf/${bridge}/accept_redirects`, "0");
  }
  await runSystemCommand([ip, "-batch", "-"], bridgeBatch(plan));
}

async function chooseSubnets(
  options: HostNetworkOptions,
  routes: readonly IpRoute[],
): Promise<NetworkState> {
  const earlier = await readNetworkState(options.directory);
  const routed = routedSubnets(routes, options.name);
  const { subnet = earlier?.subnet ?? chooseSubnet(routed) } = options;
  if (options.hasLeases && earlier !== undefined && parseSubnet(subnet).text !== earlier.subnet) {
    throw new LongshoreError(
      "CONFIG_ERROR",
      `Sandboxes have addresses of ${earlier.subnet}; remove them before the subnet changes.`,
      { details: { field: "subnet", subnet: earlier.subnet } },
    );
  }
  const wanted6 = options.subnet6 === "none" ? undefined : options.subnet6;
  return {
    subnet: parseSubnet(subnet).text,
    subnet6: parseSubnet(wanted6 ?? earlier?.subnet6 ?? chooseSubnet6()).text,
  };
}

async function wantsIpv6(
  { subnet6 }: BridgeNetworkOptions,
  routes6: readonly IpRoute[],
): Promise<boolean> {
  if (subnet6 === "none") return false;
  const isOff = (await readSysctl("ipv6/conf/all/disable_ipv6")) !== "0";
  if (subnet6 === undefined) return !isOff && routes6.some(({ dst }) => dst === "default");
  if (!isOff) return true;
  throw new LongshoreError("CONFIG_ERROR", "A subnet6 is given, but IPv6 is off on this machine.", {
    details: { field: "subnet6" },
  });
}

async function listRoutes(ip: string, family: "-4" | "-6"): Promise<readonly IpRoute[]> {
  const text = await runSystemCommand([ip, "-json", family, "route", "show"]);
  return text.trim() === "" ? [] : (JSON.parse(text) as readonly IpRoute[]);
}

async function uplinkMtu(routes: readonly IpRoute[]): Promise<number> {
  const uplink = routes.find(({ dst, dev }) => dst === "default" && dev !== undefined)?.dev;
  if (uplink === undefined) return 1_500;
  return Number(await readFile(`/sys/class/net/${uplink}/mtu`, "utf8"));
}
