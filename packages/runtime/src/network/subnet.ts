import { isIP } from "node:net";

/** A range of addresses of which sandboxes get one each. */
export interface Subnet {
  readonly family: 4 | 6;
  readonly prefixLength: number;
  /** First address as a number */
  readonly base: bigint;
  /** `address/prefix`, in the short form */
  readonly text: string;
}

/**
 * A subnet in CIDR notation.
 *
 * @throws {RangeError} for what is none, has bits set behind the prefix, or has room for fewer than two addresses
 */
export function parseSubnet(text: string): Subnet {
  const [address = "", prefix = "", ...rest] = text.split("/");
  const family = isIP(address);
  const bits = family === 4 ? 32 : 128;
  const prefixLength = Number(prefix);
  if (
    (family !== 4 && family !== 6) ||
    rest.length > 0 ||
    !/^\d{1,3}$/.test(prefix) ||
    prefixLength < 8 ||
    prefixLength > bits - 2
  ) {
    throw new RangeError(
      `A subnet is an address with a prefix of 8 to ${bits - 2} bits, e.g. "10.213.0.0/16", not "${text}".`,
    );
  }
  const base = addressToNumber(address);
  const mask = (1n << BigInt(bits - prefixLength)) - 1n;
  if ((base & mask) !== 0n) throw new RangeError(`"${text}" has bits set behind its prefix.`);
  return { family, prefixLength, base, text: `${numberToAddress(base, family)}/${prefixLength}` };
}

/** The address at a place in the subnet; 1 is the gateway's. */
export function addressAt(subnet: Subnet, index: number): string {
  return numberToAddress(subnet.base + BigInt(index), subnet.family);
}

/** How many addresses sandboxes may have: all but the first (the net), the second (the gateway) and the last. */
export function subnetCapacity(subnet: Subnet): number {
  const bits = (subnet.family === 4 ? 32 : 128) - subnet.prefixLength;
  return Number(1n << BigInt(Math.min(bits, 24))) - 3;
}

export function subnetsOverlap(one: Subnet, other: Subnet): boolean {
  if (one.family !== other.family) return false;
  const bits = one.family === 4 ? 32 : 128;
  const shift = BigInt(bits - Math.min(one.prefixLength, other.prefixLength));
  return one.base >> shift === other.base >> shift;
}

/** An address as a number. @throws {RangeError} for what is no address */
export function addressToNumber(address: string): bigint {
  if (isIP(address) === 4) {
    return address.split(".").reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
  }
  if (isIP(address) !== 6 || address.includes("%")) {
    throw new RangeError(`"${address}" is no IP address.`);
  }
  const [head = "", tail] = canonicalIpv6(address).split("::");
  const front = head === "" ? [] : head.split(":");
  const back = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : 8 - front.length - back.length;
  return [...front, ...Array<string>(zeros).fill("0"), ...back].reduce(
    (sum, part) => (sum << 16n) | BigInt(`0x${part}`),
    0n,
  );
}

/** The short form of RFC 5952, without dots even for addresses that hold an IPv4 one. */
export function canonicalIpv6(address: string): string {
  return new URL(`http://[${address}]`).hostname.slice(1, -1);
}

function numberToAddress(value: bigint, family: 4 | 6): string {
  if (family === 4) {
    return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 0xffn)).join(".");
  }
  const parts = Array.from({ length: 8 }, (_, index) =>
    ((value >> BigInt(112 - index * 16)) & 0xffffn).toString(16),
  );
  return canonicalIpv6(parts.join(":"));
}
