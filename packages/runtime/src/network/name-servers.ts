import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { hostAddresses } from "./host-ports.ts";

/** Where systemd-resolved writes the servers that it asks itself. */
const resolvedFile = "/run/systemd/resolve/resolv.conf";

/**
 * Name servers for sandboxes that cannot reach those of the host, because they are the host. Undefined: the host's are
 * fine.
 */
export async function reachableNameServers(): Promise<readonly string[] | undefined> {
  const own = new Set(hostAddresses());
  const isReachable = (server: string): boolean =>
    !own.has(server) && !server.startsWith("127.") && server !== "::1";
  const servers = await readNameServers("/etc/resolv.conf");
  const reachable = servers.filter(isReachable);
  if (servers.length > 0 && reachable.length === servers.length) return undefined;
  if (reachable.length > 0) return reachable;
  return (await readNameServers(resolvedFile)).filter(isReachable);
}

async function readNameServers(path: string): Promise<readonly string[]> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch {
    // A host without the file has no name servers to offer.
    return [];
  }
  return text
    .split("\n")
    .map((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? "")
    .filter((server) => isIP(server.split("%")[0] ?? "") !== 0);
}
