import { BlockList, isIP } from "node:net";
import { hostAddresses } from "../network/host-ports.ts";
import { addressToNumber } from "../network/subnet.ts";

/**
 * Ranges that are not the public internet, from the IANA special-purpose registries (RFC 6890 and its successors), plus
 * 168.63.129.16, where Azure answers virtual machines.
 */
const special = new BlockList();
for (const [net, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["168.63.129.16", 32],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
] as const) {
  special.addSubnet(net, prefix, "ipv4");
}
for (const [net, prefix] of [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
] as const) {
  special.addSubnet(net, prefix, "ipv6");
}
const globalUnicast = new BlockList();
globalUnicast.addSubnet("2000::", 3, "ipv6");
/** RFC 6052: the last 32 bits are an IPv4 address. */
const translated = new BlockList();
translated.addSubnet("64:ff9b::", 96, "ipv6");

/**
 * Whether an address is on the public internet and not this host's own: neither private, loopback, link-local, multicast
 * nor one at which clouds answer their machines.
 */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return !special.check(address, "ipv4") && !hostAddresses().includes(address);
  if (family !== 6 || address.includes("%")) return false;
  if (translated.check(address, "ipv6")) {
    const number = addressToNumber(address);
    const inner = [24n, 16n, 8n, 0n].map((shift) => String((number >> shift) & 0xffn)).join(".");
    return isPublicAddress(inner);
  }
  if (!globalUnicast.check(address, "ipv6") || special.check(address, "ipv6")) return false;
  return !hostAddresses().includes(address);
}
