import type { ContainerConfig } from "@longshore/core";
import type { HostFacts } from "./host-facts.ts";
import { unsupported } from "./spec-error.ts";

/** Profiles that container engines load for whoever runs containers. */
const defaultProfiles: readonly string[] = ["cri-containerd.apparmor.d", "docker-default"];

/**
 * The AppArmor profile of a container; none with `undefined`. Where AppArmor is off, the runtime's default is none.
 *
 * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` for a profile that is not loaded
 */
export function appArmorProfile(config: ContainerConfig, host: HostFacts): string | undefined {
  const { apparmor, privileged } = config.linux?.securityContext ?? {};
  if (apparmor === undefined || privileged === true) return undefined;
  const loaded = host.appArmorProfiles;
  switch (apparmor.profileType) {
    case "unconfined":
      return loaded && "unconfined";
    case "runtimeDefault": {
      const profile = defaultProfiles.find((name) => loaded?.has(name));
      if (profile !== undefined || loaded === undefined) return profile;
      throw unsupported(
        "apparmor",
        `AppArmor has no profile for containers: load ${defaultProfiles.join(" or ")}.`,
      );
    }
    case "localhost": {
      const name = apparmor.localhostRef.replace(/^localhost\//, "");
      if (loaded?.has(name) === true) return name;
      const reason = loaded === undefined ? "AppArmor is off" : "it is not loaded";
      throw unsupported(
        "apparmor",
        `The profile ${JSON.stringify(name)} cannot be had: ${reason}.`,
      );
    }
    default:
      return apparmor satisfies never;
  }
}

/**
 * Refuses SELinux labels, which nothing here can set. Where SELinux is off there is nothing to relabel, so a wish for that
 * is fulfilled.
 *
 * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED`
 */
export function refuseSelinux(config: ContainerConfig, host: HostFacts): void {
  const options = config.linux?.securityContext?.selinuxOptions ?? {};
  const isAsked = Object.values(options).some((label) => label !== undefined && label !== "");
  const isRelabelled = config.mounts?.some(({ selinuxRelabel }) => selinuxRelabel === true);
  if (isAsked || (host.hasSelinux && isRelabelled === true)) {
    throw unsupported("selinuxOptions", "SELinux labels cannot be set here.");
  }
}
