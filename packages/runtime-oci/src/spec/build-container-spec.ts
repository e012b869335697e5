import { containerUser, type NamespaceOption } from "@longshore/core";
import { buildExecProcess } from "./build-exec-process.ts";
import { containerCapabilities } from "./capabilities.ts";
import { containerMounts } from "./container-mounts.ts";
import { containerSeccomp } from "./container-seccomp.ts";
import type { ContainerSpecInput } from "./container-spec-input.ts";
import { containerDevices } from "./devices.ts";
import { hiddenPaths } from "./hidden-paths.ts";
import { containerNamespaces } from "./namespaces.ts";
import type { OciLinux, OciSpec } from "./oci-spec.ts";
import { podNamespaces } from "./pod-namespaces.ts";
import { ociResources } from "./resources.ts";
import { refuseSelinux } from "./security-labels.ts";
import { invalid, unsupported } from "./spec-error.ts";
import { checkSysctls } from "./sysctls.ts";

/**
 * Turns a container of the CRI into a runtime configuration. It fails closed: what the machine or the runtime cannot keep
 * is an error, never left out. There are no hooks, and annotations of the CRI's configuration stay out, because runtimes
 * take orders from some.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`, `RUNTIME_NOT_SUPPORTED` with the setting in `details.field`
 */
export async function buildContainerSpec(input: ContainerSpecInput): Promise<OciSpec> {
  const { sandbox, config, host } = input;
  const context = config.linux?.securityContext;
  const options = podNamespaces(sandbox, config);
  refuseSelinux(config, host);
  checkHostPath("rootPath", input.rootPath);
  const user = containerUser(context, input.process.user);
  const process = await buildExecProcess({
    ...input,
    process: { ...input.process, ...(user !== undefined && { user }) },
  });
  const namespaces = containerNamespaces(
    options,
    input.namespaces,
    host.cgroupVersion === 2 && context?.privileged !== true,
  );
  const { mounts, rootfsPropagation } = await containerMounts(input, namespaces);
  const hostname = namespaces.hasHostNetwork ? undefined : checkHostname(sandbox.hostname);
  return {
    ociVersion: "1.0.2",
    process,
    root: { path: input.rootPath, readonly: context?.readonlyRootfs ?? false },
    ...(hostname !== undefined && { hostname }),
    mounts,
    annotations: {
      "dev.longshore.container-id": input.containerId,
      "dev.longshore.sandbox-id": input.sandboxId,
      ...input.annotations,
    },
    linux: {
      namespaces: namespaces.namespaces,
      ...(namespaces.idMappings && {
        uidMappings: namespaces.idMappings.uids,
        gidMappings: namespaces.idMappings.gids,
      }),
      ...(rootfsPropagation && { rootfsPropagation }),
      ...(await confinement(input)),
      ...hiddenPaths(context),
      ...kernelSettings(input, options),
    },
  };
}

/** What a container may use, and how much of it. */
async function confinement(
  input: ContainerSpecInput,
): Promise<Pick<OciLinux, "devices" | "resources" | "cgroupsPath" | "seccomp">> {
  const { config, host } = input;
  const { held } = containerCapabilities(config.linux?.securityContext, host.boundingCapabilities);
  const { devices, rules } = await containerDevices(config);
  const resources = ociResources(config.linux?.resources ?? {}, rules, host);
  const cgroupsPath = checkCgroupsPath(input.cgroupsPath);
  const { devices: _rules, ...limits } = resources;
  if (cgroupsPath === undefined && Object.keys(limits).length > 0) {
    throw unsupported("resources", "Limits need a cgroup, and this container has none.");
  }
  const seccomp = await containerSeccomp(config, held, host);
  return {
    devices,
    resources,
    ...(cgroupsPath !== undefined && { cgroupsPath }),
    ...(seccomp && { seccomp }),
  };
}

function kernelSettings(
  { sandbox }: ContainerSpecInput,
  options: NamespaceOption,
): Pick<OciLinux, "sysctl"> {
  const sysctl = checkSysctls(sandbox.linux?.sysctls ?? {}, options);
  return Object.keys(sysctl).length > 0 ? { sysctl } : {};
}

/** Linux' HOST_NAME_MAX. */
const maxHostnameLength = 64;

function checkHostname(hostname: string | undefined): string | undefined {
  if (hostname === undefined || hostname === "") return undefined;
  if (hostname.length <= maxHostnameLength && /^[a-z\d]([a-z\d.-]*[a-z\d])?$/i.test(hostname)) {
    return hostname;
  }
  throw invalid("hostname", `${JSON.stringify(hostname.slice(0, 128))} cannot be a host name.`);
}

function checkCgroupsPath(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  const isSystemd = /^[\w.@\\-]*\.slice:[\w.@-]+:[\w.@-]+$/.test(path);
  const isPath = path.startsWith("/") && path !== "/" && !/[\0\n]/.test(path);
  if ((isSystemd || isPath) && !path.split("/").includes("..")) return path;
  throw invalid("cgroupParent", `${JSON.stringify(path.slice(0, 256))} is no path of a cgroup.`);
}

function checkHostPath(field: string, path: string): void {
  if (!path.startsWith("/") || path.includes("\0")) {
    throw invalid(field, `${JSON.stringify(path.slice(0, 256))} is no absolute path.`);
  }
}
