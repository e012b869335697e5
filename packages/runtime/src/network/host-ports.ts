import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { LongshoreError, type PortMapping } from "@longshore/core";
import { canonicalIpv6 } from "./subnet.ts";

/** A port of the host that leads into a sandbox. */
export interface HostPort {
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly port: number;
  readonly containerPort: number;
  /** Absent: all addresses of both families */
  readonly ip?: string | undefined;
}

/**
 * The host ports that a sandbox's mappings ask for.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`; `RUNTIME_NOT_SUPPORTED`; `STATE_CONFLICT` for two that are the same
 */
export function parsePortMappings(mappings: readonly PortMapping[]): readonly HostPort[] {
  const ports: HostPort[] = [];
  for (const [index, mapping] of mappings.entries()) {
    const field = `portMappings[${index}]`;
    const { protocol = "tcp", containerPort, hostPort, hostIp } = mapping;
    if (!["tcp", "udp", "sctp"].includes(protocol)) {
      throw invalid(`${field}.protocol`, '"tcp", "udp" or "sctp"');
    }
    if (!isPort(containerPort)) throw invalid(`${field}.containerPort`, "a number from 1 to 65535");
    if (hostPort === 0) continue;
    if (!isPort(hostPort)) throw invalid(`${field}.hostPort`, "a number from 0 to 65535");
    const ip = parseHostIp(hostIp, `${field}.hostIp`);
    const port = { protocol, port: hostPort, containerPort, ...(ip === undefined ? {} : { ip }) };
    const twin = ports.find((other) => portsConflict(port, other));
    if (twin !== undefined) throw inUse(port, "another port mapping of this sandbox");
    ports.push(port);
  }
  return ports;
}

/** Whether two cannot be had at the same time. */
export function portsConflict(one: HostPort, other: HostPort): boolean {
  if (one.protocol !== other.protocol || one.port !== other.port) return false;
  if (one.ip === undefined || other.ip === undefined) return true;
  if (isIP(one.ip) !== isIP(other.ip)) return false;
  return one.ip === other.ip || isWildcard(one.ip) || isWildcard(other.ip);
}

/**
 * Sees that no program of the host has the port: a mapping would take its connections away without a word.
 *
 * @throws {LongshoreError} `STATE_CONFLICT`; `VALIDATION_ERROR` for an address that is not the host's
 */
export async function checkPortIsFree(port: HostPort): Promise<void> {
  const addresses = port.ip === undefined ? ["0.0.0.0", "::"] : [port.ip];
  for (const address of addresses) {
    const code = await tryToBind(port, address);
    if (code === undefined) continue;
    if (code === "EADDRINUSE") throw inUse(port, "a program of the host");
    if (code === "EADDRNOTAVAIL" && port.ip !== undefined) {
      throw invalid("portMappings.hostIp", `an address of this host, which ${port.ip} is not`);
    }
    // The other family is switched off on this machine.
    if (port.ip === undefined && (code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL")) continue;
    throw new LongshoreError(
      "SANDBOX_CREATE_FAILED",
      `Host port ${port.port} cannot be checked: ${code}.`,
      {
        details: { port: port.port, code },
      },
    );
  }
}

export function inUse(port: HostPort, owner: string): LongshoreError {
  const where = `${port.ip === undefined ? "" : `${port.ip} `}${port.port}/${port.protocol}`;
  return new LongshoreError("STATE_CONFLICT", `Host port ${where} is in use by ${owner}.`, {
    details: { field: "portMappings", hostPort: port.port, protocol: port.protocol },
  });
}

export function isWildcard(ip: string): boolean {
  return ip === "0.0.0.0" || ip === "::";
}

/** The error's code when the port cannot be bound. SCTP has no sockets in Node: only other sandboxes are looked at. */
async function tryToBind(port: HostPort, address: string): Promise<string | undefined> {
  if (port.protocol === "sctp") return undefined;
  try {
    if (port.protocol === "udp") {
      const socket = createSocket(
        isIP(address) === 6 ? { type: "udp6", ipv6Only: true } : { type: "udp4" },
      );
      try {
        socket.bind({ port: port.port, address, exclusive: true });
        await once(socket, "listening");
      } finally {
        socket.close();
      }
      return undefined;
    }
    const server = createServer((socket) => socket.destroy());
    server.listen({ port: port.port, host: address, exclusive: true, ipv6Only: true });
    await once(server, "listening");
    server.close();
    await once(server, "close");
    return undefined;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : "unknown";
  }
}

function parseHostIp(hostIp: string | undefined, field: string): string | undefined {
  if (hostIp === undefined || hostIp === "") return undefined;
  const family = isIP(hostIp);
  if (family === 0 || hostIp.includes("%")) throw invalid(field, "an IP address of this host");
  if (family === 4) return hostIp;
  const ip = canonicalIpv6(hostIp);
  if (ip.startsWith("::ffff:")) throw invalid(field, "an IPv4 address in its own notation");
  if (ip === "::1") {
    // The kernel never lets packets from ::1 leave by another interface; for 127.0.0.1 there is route_localnet.
    throw new LongshoreError(
      "RUNTIME_NOT_SUPPORTED",
      "Ports of ::1 cannot lead into a sandbox; use 127.0.0.1.",
      { details: { field } },
    );
  }
  return ip;
}

/** Addresses of this machine in this network namespace. */
export function hostAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((list) => list?.map((it) => it.address) ?? []);
}

function isPort(value: number): boolean {
  return Number.isInteger(value) && value > 0 && value < 65_536;
}

function invalid(field: string, expected: string): LongshoreError {
  return new LongshoreError("VALIDATION_ERROR", `${field} must be ${expected}.`, {
    details: { field, expected },
  });
}
