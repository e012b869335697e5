import type { ContainerConfig } from "@longshore/core";
import type { CapabilityName } from "./capability-names.ts";
import { defaultSeccomp } from "./default-seccomp.ts";
import type { HostFacts } from "./host-facts.ts";
import { loadSeccompProfile } from "./load-seccomp-profile.ts";
import type { OciSeccomp } from "./oci-spec.ts";
import { unsupported } from "./spec-error.ts";

/**
 * The filter of a container's system calls: none when nothing is said, as in the CRI, and none for a privileged one.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for a bad profile, `RUNTIME_NOT_SUPPORTED` when the kernel has no filters
 */
export async function containerSeccomp(
  config: ContainerConfig,
  held: ReadonlySet<CapabilityName>,
  host: HostFacts,
): Promise<OciSeccomp | undefined> {
  const { seccomp, privileged } = config.linux?.securityContext ?? {};
  if (seccomp === undefined || privileged === true || seccomp.profileType === "unconfined") {
    return undefined;
  }
  if (!host.hasSeccomp)
    throw unsupported("seccomp", "This kernel has no filters for system calls.");
  switch (seccomp.profileType) {
    case "runtimeDefault":
      return defaultSeccomp(host.architecture, held);
    case "localhost":
      return loadSeccompProfile(seccomp.localhostRef);
    default:
      return seccomp satisfies never;
  }
}
