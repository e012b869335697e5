import type { CapabilityName } from "../spec/capability-names.ts";
import type { HostFacts } from "../spec/host-facts.ts";

/** Capabilities of the host's kernel that gVisor's has not, and that it stops at. */
const foreignCapabilities: ReadonlySet<CapabilityName> = new Set([
  "BPF",
  "CHECKPOINT_RESTORE",
  "PERFMON",
]);

/** The host's facts as they are for containers with a kernel of their own (gVisor). */
export function ownKernelFacts(host: HostFacts): HostFacts {
  const capabilities = [...host.boundingCapabilities];
  return {
    ...host,
    boundingCapabilities: new Set(capabilities.filter((name) => !foreignCapabilities.has(name))),
    // The host's profiles say nothing to that kernel.
    appArmorProfiles: undefined,
  };
}

/** Releases of gVisor by day, and the kernel whose namespaces older ones take for the host's own. */
const ableRelease = "20240801";
const confusingKernel = [6, 11] as const;

/**
 * Why this runsc can give no network; it is known by its day of release, as in `release-20240820.0` or `0.0~20221219.0`.
 *
 * @see https://github.com/google/gvisor/issues/10704
 */
export function networkLack(
  version: string,
  { kernelVersion: [major, minor] }: Pick<HostFacts, "kernelVersion">,
): string | undefined {
  const day = /(?:^|\D)(20\d{6})(?:\D|$)/.exec(version)?.[1];
  const isConfused =
    major > confusingKernel[0] || (major === confusingKernel[0] && minor >= confusingKernel[1]);
  if (!isConfused || day === undefined || day >= ableRelease) return undefined;
  return `runsc ${version} can give no network on Linux ${major}.${minor}; a release since August 2024 can.`;
}
