import type { DriverSandboxSpec } from "@longshore/core";
import { userMappings } from "../spec/namespaces.ts";
import type { OciIdMapping } from "../spec/oci-spec.ts";
import { sandboxNamespaces } from "./sandbox-context.ts";

/** The user namespace of a sandbox. */
export interface SandboxUsers {
  /** Lines as `/proc/<pid>/uid_map` and `gid_map` take them */
  readonly uidMap: string;
  readonly gidMap: string;
  /** Ids on the host of its root */
  readonly rootUid: number;
  readonly rootGid: number;
}

/** @throws {LongshoreError} `VALIDATION_ERROR` for mappings that are not exactly one with container id 0 */
export function sandboxUsers(spec: DriverSandboxSpec): SandboxUsers | undefined {
  const mappings = userMappings(sandboxNamespaces(spec).usernsOptions);
  if (mappings === undefined) return undefined;
  const { uids, gids } = mappings;
  return {
    uidMap: toLines(uids),
    gidMap: toLines(gids),
    rootUid: uids[0]?.hostID ?? 0,
    rootGid: gids[0]?.hostID ?? 0,
  };
}

/** The only namespace that a user may make who has no other ids: itself as root. */
export function callersUser(): SandboxUsers {
  const rootUid = process.geteuid?.() ?? 0;
  const rootGid = process.getegid?.() ?? 0;
  return { uidMap: `0 ${rootUid} 1\n`, gidMap: `0 ${rootGid} 1\n`, rootUid, rootGid };
}

function toLines(mappings: readonly OciIdMapping[]): string {
  return mappings
    .map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`)
    .join("");
}
