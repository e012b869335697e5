import { createHash, scrypt } from "node:crypto";
import { promisify } from "node:util";
import { canonicalJson } from "../envelope/canonical-json.ts";
import { encodeSandboxSpec } from "./sandbox-spec-schema.ts";
import type { SandboxSpec } from "./sandbox-spec.ts";

/** Labels and annotations by which the facade finds its sandboxes again. */
export const sandboxLabels = {
  /** On every sandbox of the facade: its name */
  name: "longshore.io/sandbox",
  /** On a sandbox made by `ensureSandbox`: what {@link specHash} says of its spec */
  specHash: "longshore.io/spec-hash",
  timeoutMs: "longshore.io/timeout-ms",
  idleTimeoutMs: "longshore.io/idle-timeout-ms",
} as const;

/** Pod metadata of every sandbox that `ensureSandbox` makes: no two of one name can be there at a time. */
export const ensuredUid = "ensured";

const derive = promisify<string, string, number, Buffer>(scrypt);

/**
 * Tells specs apart, 32 hex digits. It stands in a label that others may read, so a secret goes in through scrypt: nobody
 * can try out values fast.
 */
export async function specHash(spec: SandboxSpec): Promise<string> {
  const { secrets, ...egress } = spec.egress ?? { allow: [] };
  const hidden: Record<string, unknown> = {};
  for (const [name, { hosts, value }] of Object.entries(secrets ?? {})) {
    const key = await derive(value, `longshore:${spec.name ?? ""}:${name}`, 16);
    hidden[name] = { hosts, key: key.toString("hex") };
  }
  const { egress: _secret, ...rest } = encodeSandboxSpec(spec);
  const visible = { ...rest, ...(spec.egress !== undefined && { egress: { ...egress, hidden } }) };
  return createHash("sha256").update(canonicalJson(visible)).digest("hex").slice(0, 32);
}
