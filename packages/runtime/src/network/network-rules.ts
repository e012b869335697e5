import { isIP } from "node:net";
import { isWildcard, type HostPort } from "./host-ports.ts";
import type { NetworkLease } from "./lease-store.ts";
import type { NetworkPlan } from "./network-plan.ts";

/** What sandboxes of a bridge may reach beside the outside world. */
export type NetworkAllowance = "sandboxes" | "host" | "link-local";

/** Port at the gateway's address that sandboxes know as their proxy; led to the one that is really listened on. */
export const proxyPort = 3128;

export interface RuleSettings {
  readonly plan: NetworkPlan;
  readonly allow: ReadonlySet<NetworkAllowance>;
  /** Where the egress proxy listens; absent while there is none */
  readonly proxyListenPort?: number | undefined;
  /** Interfaces between which the host did not forward before us, by family */
  readonly uplinks: { readonly ipv4: readonly string[]; readonly ipv6: readonly string[] };
}

/**
 * The whole rule set, replaced in one transaction; input of `nft -f`. Everything in it is made of validated values:
 * addresses, numbers and interface names.
 */
export function rulesText(settings: RuleSettings, leases: Iterable<NetworkLease>): string {
  const { bridge } = settings.plan;
  const elements = [...leases].flatMap((lease) => leaseElements(settings, lease));
  return [
    ...removeRulesText(bridge),
    bridgeTable(settings),
    inetTable(settings),
    ...elements.map(([set, element]) => `add element ${set} { ${element} }`),
    "",
  ].join("\n");
}

/** Removes the tables, also when there are none. */
export function removeRulesText(bridge: string): readonly string[] {
  return ["inet", "bridge"].flatMap((family) => [
    `add table ${family} ${bridge}`,
    `delete table ${family} ${bridge}`,
  ]);
}

/** What one sandbox adds to the sets, as lines. */
export function leaseRules(
  settings: RuleSettings,
  lease: NetworkLease,
  action: "add" | "delete",
): string {
  return (
    leaseElements(settings, lease)
      // A map's element is deleted by its key alone.
      .map(([set, element]) =>
        action === "add"
          ? `add element ${set} { ${element} }`
          : `delete element ${set} { ${element.split(" : ")[0] ?? ""} }`,
      )
      .join("\n")
  );
}

/** Frames of the sandboxes' ports: who they claim to be, and that they do not see each other. */
function bridgeTable({ plan, allow }: RuleSettings): string {
  const ports = `"${plan.linkPrefix}*"`;
  const between = allow.has("sandboxes")
    ? `iifname @closed drop\n    oifname @closed drop\n    iifname ${ports} oifname ${ports} accept`
    : "";
  return `table bridge ${plan.bridge} {
  set sources4 { typeof iifname . ether saddr . ip saddr; }
  set sources6 { typeof iifname . ether saddr . ip6 saddr; }
  set closed { type ifname; }
  chain prerouting {
    type filter hook prerouting priority -300; policy accept;
    iifname ${ports} jump source
  }
  chain source {
    iifname . ether saddr . ip saddr @sources4 accept
    iifname . arp saddr ether . arp saddr ip @sources4 iifname . ether saddr . arp saddr ip @sources4 accept
    icmpv6 type { nd-router-advert, nd-redirect } drop
    iifname . ether saddr . ip6 saddr @sources6 accept
    drop
  }
  chain forward {
    type filter hook forward priority 0; policy accept;
    ${between}
    iifname ${ports} drop
    oifname ${ports} drop
  }
  chain output {
    type filter hook output priority 0; policy accept;
    oifname ${ports} icmpv6 type { nd-router-advert, nd-redirect } drop
  }
}`;
}

function inetTable(settings: RuleSettings): string {
  const { plan, allow, proxyListenPort, uplinks } = settings;
  const { bridge, subnet, subnet6, gateway } = plan;
  const proxy = proxyListenPort !== undefined;
  const own6 = subnet6?.text;
  const port = "type inet_proto . inet_service :";
  const boundPort = (family: string): string => `type ${family} . inet_proto . inet_service :`;
  return `table inet ${bridge} {
  set egress { type ipv4_addr; }
  map ports4 { ${port} ipv4_addr . inet_service; }
  map ports6 { ${port} ipv6_addr . inet_service; }
  map bound_ports4 { ${boundPort("ipv4_addr")} ipv4_addr . inet_service; }
  map bound_ports6 { ${boundPort("ipv6_addr")} ipv6_addr . inet_service; }
  chain raw {
    type filter hook prerouting priority raw; policy accept;
    iifname ${bridge} ip daddr 127.0.0.0/8 drop
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    ${proxy ? `iifname ${bridge} ip saddr @egress ip daddr ${gateway} tcp dport ${proxyPort} redirect to :${proxyListenPort}` : ""}
    fib daddr type local jump ports
  }
  chain output {
    type nat hook output priority -100; policy accept;
    fib daddr type local jump ports
  }
  chain ports {
    dnat ip to ip daddr . meta l4proto . th dport map @bound_ports4
    dnat ip6 to ip6 daddr . meta l4proto . th dport map @bound_ports6
    dnat ip to meta l4proto . th dport map @ports4
    dnat ip6 to meta l4proto . th dport map @ports6
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    iifname ${bridge} oifname != { ${bridge}, lo } ip saddr ${subnet.text} masquerade
    ${own6 === undefined ? "" : `iifname ${bridge} oifname != { ${bridge}, lo } ip6 saddr ${own6} masquerade`}
    oifname ${bridge} ip saddr 127.0.0.0/8 masquerade
    oifname ${bridge} ct status dnat ip daddr @egress masquerade
    oifname ${bridge} ct status dnat ip saddr ${subnet.text} masquerade
    ${own6 === undefined ? "" : `oifname ${bridge} ct status dnat ip6 saddr ${own6} masquerade`}
  }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname ${bridge} jump to_host
  }
  chain to_host {
    ct state established,related accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    ${proxy ? `ip saddr @egress ip daddr ${gateway} tcp dport ${proxyListenPort} accept` : ""}
    ip saddr @egress drop
    ${allow.has("host") ? "accept" : "drop"}
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    ${betweenUplinks("ipv4", uplinks.ipv4)}
    ${betweenUplinks("ipv6", uplinks.ipv6)}
    iifname ${bridge} jump outward
    oifname ${bridge} jump inward
  }
  chain outward {
    ct state established,related accept
    ip saddr @egress drop
    ${allow.has("link-local") ? "" : "ip daddr 169.254.0.0/16 drop\n    ip6 daddr { fe80::/10, fd00:ec2::/32 } drop"}
    oifname ${bridge} ip daddr @egress drop
    oifname ${bridge} ${allow.has("sandboxes") ? "accept" : "drop"}
    accept
  }
  chain inward {
    ct state established,related accept
    ct status dnat accept
    drop
  }
}`;
}

function betweenUplinks(family: "ipv4" | "ipv6", names: readonly string[]): string {
  if (names.length < 2) return "";
  const list = `{ ${names.map((name) => `"${name}"`).join(", ")} }`;
  return `meta nfproto ${family} iifname ${list} oifname ${list} drop`;
}

type Element = readonly [set: string, element: string];

function leaseElements({ plan }: RuleSettings, lease: NetworkLease): readonly Element[] {
  if (lease.index === undefined) return [];
  const { link, mac, address, address6 } = plan.place(lease);
  const { bridge } = plan;
  const elements: Element[] = [[`bridge ${bridge} sources4`, `"${link}" . ${mac} . ${address}`]];
  if (address6 !== undefined) {
    elements.push([`bridge ${bridge} sources6`, `"${link}" . ${mac} . ${address6}`]);
  }
  if (lease.isEgressOnly) {
    elements.push([`bridge ${bridge} closed`, `"${link}"`], [`inet ${bridge} egress`, address]);
  }
  for (const port of lease.hostPorts) {
    elements.push(...portElements(bridge, port, { address, address6 }));
  }
  return elements;
}

function portElements(
  bridge: string,
  port: HostPort,
  to: { readonly address: string; readonly address6: string | undefined },
): readonly Element[] {
  const key = `${port.protocol} . ${port.port}`;
  const bound = port.ip === undefined || isWildcard(port.ip) ? "" : `${port.ip} . `;
  const set = bound === "" ? "ports" : "bound_ports";
  const elements: Element[] = [];
  if (port.ip === undefined || isIP(port.ip) === 4) {
    elements.push([
      `inet ${bridge} ${set}4`,
      `${bound}${key} : ${to.address} . ${port.containerPort}`,
    ]);
  }
  if (to.address6 !== undefined && (port.ip === undefined || isIP(port.ip) === 6)) {
    elements.push([
      `inet ${bridge} ${set}6`,
      `${bound}${key} : ${to.address6} . ${port.containerPort}`,
    ]);
  }
  return elements;
}
