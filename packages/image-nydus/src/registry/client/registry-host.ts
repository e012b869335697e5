import type { RegistryHostOptions } from "./client-options.ts";

type HostTable = Readonly<Record<string, RegistryHostOptions>>;

const hubHost = "registry-1.docker.io";

/** Whether a host name, without port, always means this machine. */
export function isLoopback(hostname: string): boolean {
  const name = hostname.replace(/^\[|\]$/g, "").toLowerCase();
  return name === "localhost" || name === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(name);
}

/** Where the API of a registry is: `https://registry-1.docker.io/` for Docker's own. */
export function registryUrl(registry: string, hosts: HostTable): URL {
  const options = hostOptions(registry, hosts);
  const host = registry === "docker.io" ? hubHost : registry;
  const hostname = host.replace(/:[0-9]+$/, "");
  const isPlainByDefault =
    isLoopback(hostname) && options.tls === undefined && !host.endsWith(":443");
  const isPlain = options.plainHttp ?? isPlainByDefault;
  return new URL(`${isPlain ? "http" : "https"}://${host}/`);
}

/** What is configured for the host of an address, or for the registry that lives there. */
export function hostOptions(host: string, hosts: HostTable): RegistryHostOptions {
  const name = host === hubHost ? "docker.io" : host;
  return (Object.hasOwn(hosts, name) ? hosts[name] : undefined) ?? {};
}

/** The same for an address, which does not show the usual port of its scheme. */
export function urlOptions(url: URL, hosts: HostTable): RegistryHostOptions {
  const withPort = `${url.hostname}:${url.port || (url.protocol === "https:" ? "443" : "80")}`;
  return Object.hasOwn(hosts, withPort)
    ? hostOptions(withPort, hosts)
    : hostOptions(url.host, hosts);
}
