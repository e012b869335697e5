import type { NamespaceOption, UserNamespace } from "@longshore/core";
import type { OciIdMapping, OciNamespace } from "./oci-spec.ts";
import { invalid } from "./spec-error.ts";

/** Namespaces to join, as paths such as `/proc/PID/ns/net`. One that is absent is made new. */
export interface NamespacePaths {
  readonly network?: string | undefined;
  readonly ipc?: string | undefined;
  readonly uts?: string | undefined;
  readonly pid?: string | undefined;
  readonly user?: string | undefined;
}

/** How a container is set apart. */
export interface ContainerNamespaces {
  readonly namespaces: readonly OciNamespace[];
  readonly hasHostNetwork: boolean;
  readonly hasHostIpc: boolean;
  readonly hasHostPid: boolean;
  /** Absent without a user namespace */
  readonly idMappings?: IdMappings | undefined;
}

export interface IdMappings {
  readonly uids: readonly OciIdMapping[];
  readonly gids: readonly OciIdMapping[];
}

/**
 * The namespaces that the CRI's options ask for. Mounts are always the container's own, the host name goes with the
 * network, and cgroups are its own with version 2, which is the only one to hide the others.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for a target without its path, a path where the host's namespace is asked
 *   for, and mappings that are not exactly one with container id 0
 */
export function containerNamespaces(
  options: NamespaceOption,
  paths: NamespacePaths,
  hasOwnCgroups: boolean,
): ContainerNamespaces {
  const hasHostNetwork = options.network === "node";
  const hasHostIpc = options.ipc === "node";
  const hasHostPid = options.pid === "node";
  if (options.pid === "target" && paths.pid === undefined) {
    throw invalid("targetId", "The process namespace of the target is not known.");
  }
  const idMappings = userMappings(options.usernsOptions);
  const namespaces: OciNamespace[] = [{ type: "mount" }];
  const join = (type: "network" | "ipc" | "uts" | "pid" | "user", isHosts: boolean): void => {
    const path = paths[type];
    if (isHosts && path !== undefined) {
      throw invalid(type, `There is no ${type} namespace to join when it is the host's.`);
    }
    if (!isHosts) namespaces.push({ type, ...(path !== undefined && { path }) });
  };
  // A user namespace comes first: the others belong to it.
  join("user", idMappings === undefined);
  join("network", hasHostNetwork);
  join("uts", hasHostNetwork);
  join("ipc", hasHostIpc);
  join("pid", hasHostPid);
  if (hasOwnCgroups) namespaces.push({ type: "cgroup" });
  return { namespaces, hasHostNetwork, hasHostIpc, hasHostPid, idMappings };
}

/** Whether an id inside a user namespace stands for one outside. */
export function isMapped(mappings: readonly OciIdMapping[], id: number): boolean {
  return mappings.some(({ containerID, size }) => id >= containerID && id < containerID + size);
}

/**
 * The mappings of a user namespace, absent when none is asked for.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for mappings that are not exactly one with container id 0
 */
export function userMappings(options: UserNamespace | undefined): IdMappings | undefined {
  if (options === undefined || options.mode === "node") return undefined;
  if (options.mode !== "pod") {
    throw invalid("usernsOptions.mode", "A user namespace is the pod's or the host's.");
  }
  return { uids: oneMapping("uids", options.uids), gids: oneMapping("gids", options.gids) };
}

const idSpace = 0xff_ff_ff_ff;

function oneMapping(
  field: "uids" | "gids",
  mappings: UserNamespace["uids"],
): readonly OciIdMapping[] {
  const [mapping] = mappings;
  if (mapping === undefined || mappings.length !== 1) {
    throw invalid(`usernsOptions.${field}`, "A user namespace has exactly one mapping.");
  }
  const { containerId, hostId, length } = mapping;
  const isSound =
    [containerId, hostId, length].every((part) => Number.isInteger(part) && part >= 0) &&
    hostId + length <= idSpace;
  if (!isSound || containerId !== 0 || length === 0) {
    throw invalid(
      `usernsOptions.${field}`,
      "A mapping begins at container id 0, has a length, and stays within 32 bits on the host.",
    );
  }
  return [{ containerID: containerId, hostID: hostId, size: length }];
}
