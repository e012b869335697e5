import { lookup } from "node:dns/promises";
import { isIP, type LookupFunction } from "node:net";
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
  return (host, options, callback) => {
    publicAddresses(host, resolve).then(
      (addresses) => {
        const all = addresses.map((address) => ({ address, family: isIP(address) }));
        const [first] = all;
        if (options.all === true) callback(null, all);
        else callback(null, first?.address ?? "", first?.family);
      },
      (error: unknown) => {
        callback(error instanceof Error ? error : new Error(String(error)), "");
      },
    );
  };
}

async function publicAddresses(host: string, resolve: ResolveHost): Promise<readonly string[]> {
  const found = await resolve(host);
  const addresses = found.filter(isPublicAddress);
  if (addresses.length === 0) {
    throw new ForbiddenAddressError(`${host} has no address on the public internet`);
  }
  return addresses;
}
