import { geteuid } from "node:process";
import { aliasPrefix, networkPlan } from "./network-plan.ts";
import { bridgeOwner } from "./links.ts";
import { rulesText } from "./network-rules.ts";
import { parseSubnet } from "./subnet.ts";
import { findSystemCommand, runSystemCommand } from "./system-command.ts";

/** Debian's names of what has each program. */
const packages: Readonly<Record<string, string>> = {
  ip: "iproute2",
  nft: "nftables",
  unshare: "util-linux",
  nsenter: "util-linux",
  mount: "mount",
  umount: "mount",
};

/** What a bridge network lacks on this machine and how to get it; empty when nothing. */
export async function missingForBridge(bridge: string): Promise<string> {
  if (process.platform !== "linux") return "Networks of sandboxes need Linux.";
  if (geteuid?.() !== 0) return "Networks of sandboxes need root.";
  const missing: string[] = [];
  for (const name of Object.keys(packages)) {
    try {
      await findSystemCommand(name);
    } catch {
      missing.push(name);
    }
  }
  if (missing.length > 0) {
    const names = new Set(missing.map((name) => packages[name] ?? name));
    return `Not installed: ${missing.join(", ")}; install the package ${[...names].join(", ")}.`;
  }
  const plan = networkPlan({
    bridge,
    directory: "",
    subnet: parseSubnet("10.213.0.0/16"),
    subnet6: parseSubnet("fd00::/64"),
    mtu: 1_500,
    kernelHasIpv6: true,
  });
  try {
    // Checks all rules with the kernel and changes nothing.
    const text = rulesText(
      { plan, allow: new Set(), proxyListenPort: 1, uplinks: { ipv4: [], ipv6: [] } },
      [],
    );
    await runSystemCommand([await findSystemCommand("nft"), "--check", "-f", "-"], text);
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    return `The kernel's packet filter lacks what sandboxes need (nf_tables for bridge and inet): ${said}`;
  }
  const owner = await bridgeOwner(bridge);
  if (owner !== undefined && !owner.startsWith(aliasPrefix)) {
    return `An interface "${bridge}" is there already and not Longshore's; give the network another name.`;
  }
  return "";
}
