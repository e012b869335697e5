import { LongshoreError, type ContainerConfig, type NamespaceOption } from "@longshore/core";
import type { OciSpec } from "../spec/oci-spec.ts";

/**
 * Refuses namespaces of a sandbox that only root can make, or that nobody could end without cgroups.
 *
 * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED`
 */
export function checkRootlessSandbox(options: NamespaceOption): void {
  if (options.network !== "none") {
    throw needsRoot("namespaceOptions.network", 'Without root there is only the network "none".');
  }
  if (options.pid === "node" || options.ipc === "node") {
    const field = options.pid === "node" ? "pid" : "ipc";
    throw needsRoot(`namespaceOptions.${field}`, "Without root the host's cannot be had.");
  }
  if (options.usernsOptions?.mode === "pod") {
    throw needsRoot("usernsOptions", "Without root the only user namespace is the caller's own.");
  }
}

/**
 * A container's configuration for the user namespace of a caller who has no ids but its own, which are root's in it. Groups
 * that the image adds to root are left out.
 *
 * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` for other users, groups that were asked for, and privileges
 */
export function rootlessSpec(spec: OciSpec, config: ContainerConfig): OciSpec {
  const context = config.linux?.securityContext;
  if (context?.privileged === true) {
    throw needsRoot("privileged", "Without root there are no privileged containers.");
  }
  if ((context?.supplementalGroups ?? []).length > 0) {
    throw needsRoot("supplementalGroups", "Without root a container has one group.");
  }
  return {
    ...spec,
    process: rootlessProcess(spec.process),
    // The group of terminals is not there.
    mounts: spec.mounts.map((mount) =>
      mount.type === "devpts"
        ? { ...mount, options: mount.options.filter((option) => !option.startsWith("gid=")) }
        : mount,
    ),
  };
}

/** @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` for another user than root */
export function rootlessProcess<Process extends Pick<OciSpec["process"], "user">>(
  process: Process,
): Process {
  const { uid, gid } = process.user;
  if (uid !== 0 || gid !== 0) {
    throw needsRoot("user", `Without root a container has no user but root, not ${uid}:${gid}.`);
  }
  return { ...process, user: { ...process.user, additionalGids: [] } };
}

function needsRoot(field: string, message: string): LongshoreError {
  return new LongshoreError("RUNTIME_NOT_SUPPORTED", message, { details: { field } });
}
