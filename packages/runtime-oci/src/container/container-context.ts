import { join } from "node:path";
import type { ContainerConfig, DriverContainerSpec, Rootfs } from "@longshore/core";
import { cgroupDirectory } from "../cgroup/hierarchies.ts";
import { sandboxNamespaces, type SandboxContext } from "../sandbox/sandbox-context.ts";
import { sandboxUsers, type SandboxUsers } from "../sandbox/user-namespace.ts";
import { containerDirectory } from "./container-record.ts";
import { rootName, sharedRoot } from "./shared-roots.ts";

/** A container with what it is made in. */
export interface ContainerContext {
  readonly sandbox: SandboxContext;
  readonly spec: DriverContainerSpec;
  /** The container's configuration with the sandbox's namespaces where it says nothing of them */
  readonly config: ContainerConfig;
  /** Path in the cgroup hierarchies; absent without them */
  readonly cgroup: string | undefined;
  /** For its files and the monitor's socket; in the sandbox's, with which it goes */
  readonly directory: string;
  /** Root filesystem on the host, once it is mounted */
  readonly rootPath: string;
  /** Whether the monitor mounts it */
  readonly isMounted: boolean;
  /** Absent without a user namespace */
  readonly users: SandboxUsers | undefined;
}

export function containerContext(
  sandbox: SandboxContext,
  spec: DriverContainerSpec,
): ContainerContext {
  const { config, rootfs } = spec;
  const { linux } = config;
  const users = sandboxUsers(sandbox.spec);
  const plain = users === undefined ? plainRoot(rootfs) : undefined;
  const directory = containerDirectory(sandbox.spec.directory, spec.id);
  const target = users === undefined ? directory : sharedRoot(spec.id);
  const namespaceOptions = {
    ...sandboxNamespaces(sandbox.spec),
    ...linux?.securityContext?.namespaceOptions,
  };
  return {
    sandbox,
    spec,
    config: {
      ...config,
      linux: { ...linux, securityContext: { ...linux?.securityContext, namespaceOptions } },
    },
    cgroup: sandbox.cgroup && join(sandbox.cgroup, spec.id),
    directory,
    rootPath: plain ?? join(target, rootName),
    isMounted: plain === undefined,
    users,
  };
}

/** The directory that is the root filesystem as it is: an overlay of one layer that takes no changes is that layer. */
export function plainRoot(rootfs: Rootfs): string | undefined {
  if (rootfs.kind === "directory") return rootfs.path;
  if (rootfs.kind === "overlay" && rootfs.upper === undefined && rootfs.lower.length === 1) {
    return rootfs.lower[0];
  }
  return undefined;
}

/** Directory of the container's cgroup in the hierarchy of a controller. */
export function containerCgroup(
  { sandbox, cgroup }: ContainerContext,
  controller: string,
): string | undefined {
  const { hierarchies } = sandbox.runtime;
  if (hierarchies === undefined || cgroup === undefined) return undefined;
  return cgroupDirectory(hierarchies, cgroup, controller);
}
