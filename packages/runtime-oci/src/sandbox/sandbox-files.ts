import { readFile } from "node:fs/promises";
import type { DriverSandboxSpec } from "@longshore/core";
import { sandboxNamespaces } from "./sandbox-context.ts";

/** What the files of a sandbox's own hold that its containers see in `/etc`, by their names. */
export async function sandboxFiles(
  spec: DriverSandboxSpec,
): Promise<Readonly<Record<"hosts" | "resolv.conf" | "hostname", string>>> {
  const { hostname } = spec.config;
  return {
    hosts: await hostsFile(spec),
    "resolv.conf": await resolverFile(spec),
    hostname: hostname ? `${hostname}\n` : "",
  };
}

async function hostsFile(spec: DriverSandboxSpec): Promise<string> {
  const { config, network } = spec;
  // Who shares the host's network finds the same hosts there.
  if (sandboxNamespaces(spec).network === "node") return readOptional("/etc/hosts");
  const lines = [
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "ff02::1\tip6-allnodes",
    "ff02::2\tip6-allrouters",
  ];
  const { hostname } = config;
  if (hostname) {
    const addresses =
      network === undefined ? ["127.0.0.1"] : [network.ip, ...network.additionalIps];
    for (const address of addresses) if (address !== "") lines.push(`${address}\t${hostname}`);
  }
  return `${lines.join("\n")}\n`;
}

async function resolverFile({ config, nameServers }: DriverSandboxSpec): Promise<string> {
  const { dnsConfig } = config;
  if (dnsConfig === undefined && nameServers === undefined) return readOptional("/etc/resolv.conf");
  const servers = dnsConfig?.servers?.length ? dnsConfig.servers : (nameServers ?? []);
  const { searches = [], options = [] } = dnsConfig ?? {};
  const lines = servers.map((server) => `nameserver ${server}`);
  if (searches.length > 0) lines.push(`search ${searches.join(" ")}`);
  if (options.length > 0) lines.push(`options ${options.join(" ")}`);
  return lines.map((line) => `${line}\n`).join("");
}

async function readOptional(path: string): Promise<string> {
  // An image is made to work without either.
  return readFile(path, "utf8").catch(() => "");
}
