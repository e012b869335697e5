import { randomBytes } from "node:crypto";
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { hasCode, LongshoreError } from "@longshore/core";
import { parseSubnet, subnetsOverlap, type Subnet } from "./subnet.ts";

/** What a network must know again after a crash, beside its leases. */
export interface NetworkState {
  readonly subnet: string;
  readonly subnet6: string;
}

export async function readNetworkState(directory: string): Promise<NetworkState | undefined> {
  const path = join(directory, "network.json");
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
  try {
    const { subnet, subnet6 } = JSON.parse(text) as NetworkState;
    return { subnet: parseSubnet(subnet).text, subnet6: parseSubnet(subnet6).text };
  } catch (cause) {
    throw new LongshoreError("IO_ERROR", `${path} is damaged; remove it when no sandbox runs.`, {
      cause,
      details: { path },
    });
  }
}

export async function writeNetworkState(directory: string, state: NetworkState): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, "network.json");
  const file = await open(`${path}.new`, "w", 0o600);
  try {
    await file.writeFile(JSON.stringify(state));
    await file.datasync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
}

/**
 * A private subnet to which the host has no route yet.
 *
 * @throws {LongshoreError} `CONFIG_ERROR` when all candidates are in use
 */
export function chooseSubnet(routed: readonly Subnet[]): string {
  const candidates = Array.from({ length: 32 }, (_, index) => `10.${213 + index}.0.0/16`);
  const free = candidates.find((text) => {
    const candidate = parseSubnet(text);
    return !routed.some((other) => subnetsOverlap(candidate, other));
  });
  if (free !== undefined) return free;
  throw new LongshoreError("CONFIG_ERROR", "No private subnet is free; give one as `subnet`.", {
    details: { field: "subnet", tried: candidates },
  });
}

/** A unique local prefix as RFC 4193 §3.2 wants it: its 40 bits are random. */
export function chooseSubnet6(): string {
  const digits = randomBytes(5).toString("hex");
  const text = `fd${digits.slice(0, 2)}:${digits.slice(2, 6)}:${digits.slice(6)}::/64`;
  return parseSubnet(text).text;
}
