import { lookup } from "node:dns/promises";
import { isIP, type LookupFunction } from "node:net";
import { callbackify } from "node:util";
import { isPublicAddress } from "./public-address.ts";

/** Gives the addresses of a name. */
export type ResolveHost = (host: string) => Promise<readonly string[]>;

/** Why a connection was not made, besides what the network says. */
export class ForbiddenAddressError extends Error {
  override readonly name = "ForbiddenAddressError";
}

/** The host's own resolver, with its `/etc/hosts`. */
export const resolveByHost: ResolveHost = async (host) =>
  (await lookup(host, { all: true, verbatim: true })).map(({ address }) => address);

/**
 * A resolver for `net.connect` that only gives addresses of the public internet. What is checked is what is connected to: a
 * name that changes between two questions gains nothing.
 */
export function checkedLookup(resolve: ResolveHost): LookupFunction {
  const find = callbackify((host: string) => publicAddresses(host, resolve));
  return (host, options, callback) => {
    find(host, (error, addresses) => {
      const all = error === null ? addresses.map(withFamily) : [];
      const [first] = all;
      if (error !== null) callback(error, "");
      else if (options.all === true) callback(null, all);
      else callback(null, first?.address ?? "", first?.family);
    });
  };
}

function withFamily(address: string): { address: string; family: number } {
  return { address, family: isIP(address) };
}

async function publicAddresses(host: string, resolve: ResolveHost): Promise<readonly string[]> {
  const found = await resolve(host);
  const addresses = found.filter(isPublicAddress);
  if (addresses.length === 0) {
    throw new ForbiddenAddressError(`${host} has no address on the public internet`);
  }
  return addresses;
}
