import type {
  ContainerConfig,
  LinuxContainerResources,
  LinuxContainerSecurityContext,
  Mount,
  NamespaceOption,
} from "@longshore/core";
import { signalNumber } from "../container/signal-numbers.ts";
import { defaultMaskedPaths, defaultReadonlyPaths } from "../spec/hidden-paths.ts";
import type { OciSpec } from "../spec/oci-spec.ts";
import { unsupported } from "../spec/spec-error.ts";

/**
 * Refuses what of the host a container with a kernel of its own (gVisor) cannot be given, and settings of the kernel that it
 * takes no orders for.
 *
 * @param networkLack why it can have no network but `none`
 * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED`
 */
export function checkKernelSandbox(
  options: NamespaceOption,
  sysctls: Readonly<Record<string, string>>,
  networkLack: string | undefined,
): void {
  for (const name of ["network", "pid", "ipc"] as const) {
    if (options[name] !== "node") continue;
    throw unsupported(`namespaceOptions.${name}`, `gVisor cannot share the host's ${name}.`);
  }
  if (options.usernsOptions?.mode === "pod") {
    throw unsupported("usernsOptions", "gVisor has no user namespace that the host knows.");
  }
  const [sysctl] = Object.keys(sysctls);
  if (sysctl !== undefined) {
    throw unsupported("sysctls", `gVisor sets no kernel settings, so not ${sysctl.slice(0, 128)}.`);
  }
  if ((options.network ?? "pod") === "pod" && networkLack !== undefined) {
    throw unsupported("namespaceOptions.network", networkLack);
  }
}

/**
 * Refuses what gVisor would leave out of a container in silence.
 *
 * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED`
 */
export function checkKernelContainer(config: ContainerConfig): void {
  const { securityContext = {}, resources = {} } = config.linux ?? {};
  checkSecurity(securityContext);
  checkLimits(resources);
  config.mounts?.forEach(checkMount);
  if ((config.devices ?? []).length > 0) {
    throw unsupported("devices", "gVisor gives a container no devices of the host.");
  }
  if (config.stopSignal !== undefined && signalNumber(config.stopSignal) > lastStandardSignal) {
    throw unsupported("stopSignal", "gVisor takes no real-time signals from outside.");
  }
}

const lastStandardSignal = 31;

function checkSecurity(context: LinuxContainerSecurityContext): void {
  const { privileged, namespaceOptions, seccomp, apparmor, capabilities } = context;
  if (privileged === true) {
    throw unsupported("privileged", "gVisor gives no container the rights of the host's root.");
  }
  if (namespaceOptions?.pid === "target") {
    throw unsupported("namespaceOptions.pid", "gVisor's containers share no processes.");
  }
  if (seccomp?.profileType === "localhost") {
    throw unsupported("seccomp", "gVisor answers system calls itself, and reads no profiles.");
  }
  if (apparmor?.profileType === "localhost") {
    throw unsupported("apparmor", "gVisor's processes are not the host's to confine.");
  }
  if ((capabilities?.addAmbientCapabilities ?? []).length > 0) {
    throw unsupported("capabilities", "gVisor has no ambient capabilities.");
  }
  // Of the usual ones its kernel has nothing to hide, nor anything of the host's to change.
  refuseOthers("maskedPaths", context.maskedPaths, defaultMaskedPaths);
  refuseOthers("readonlyPaths", context.readonlyPaths, defaultReadonlyPaths);
}

function refuseOthers(
  field: string,
  paths: readonly string[] = [],
  known: readonly string[],
): void {
  const other = paths.find((path) => !known.includes(path));
  if (other === undefined) return;
  throw unsupported(field, `gVisor hides and protects no paths, so not ${other.slice(0, 256)}.`);
}

function checkLimits({ unified = {}, hugepageLimits = [] }: LinuxContainerResources): void {
  const [file] = Object.keys(unified);
  if (file === "pids.max") {
    throw unsupported(
      "unified",
      "gVisor cannot limit processes, which are not the host's; memory limits them.",
    );
  }
  if (file !== undefined) {
    throw unsupported("unified", `gVisor knows no limit ${JSON.stringify(file.slice(0, 64))}.`);
  }
  if (hugepageLimits.some(({ limit }) => limit !== 0)) {
    throw unsupported("hugepageLimits", "gVisor's containers have no huge pages of the host.");
  }
}

function checkMount({ propagation = "private" }: Mount): void {
  if (propagation === "private") return;
  throw unsupported("mounts.propagation", "Mounts do not pass in or out of gVisor's kernel.");
}

/** Mounts that gVisor's kernel makes by itself, or has not. */
const foreignMounts: ReadonlySet<string> = new Set(["cgroup", "mqueue"]);

/** A container's configuration, checked before, for gVisor: without what was only the default, and means nothing to it. */
export function kernelSpec(spec: OciSpec): OciSpec {
  const { seccomp: _seccomp, ...linux } = spec.linux;
  return {
    ...spec,
    mounts: spec.mounts.filter(({ type }) => !foreignMounts.has(type)),
    linux: {
      ...linux,
      devices: [],
      resources: { ...linux.resources, devices: [] },
      maskedPaths: [],
      readonlyPaths: [],
    },
  };
}
