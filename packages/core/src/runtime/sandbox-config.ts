import type { ImageSpec } from "../image/image.ts";
import type { ContainerConfig } from "./container.ts";
import type { PodSandboxConfig } from "./pod-sandbox.ts";
import type { LinuxContainerResources } from "./resources.ts";
import type { LinuxContainerSecurityContext, NamespaceOption } from "./security-context.ts";
import type { SandboxOptions } from "./sandbox.ts";

const cpuPeriodUs = 100_000;
const defaultName = "sandbox";
const namePattern = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** @throws {TypeError | RangeError} for options that no runtime could honour */
export function checkSandboxOptions(options: SandboxOptions): void {
  const { image, name = defaultName, command, memoryMb, cpus, pids } = options;
  if (image === "") throw new TypeError("a sandbox needs an image");
  if (!namePattern.test(name)) {
    throw new TypeError(`a sandbox's name is a lower-case host name without dots, got "${name}"`);
  }
  if (command?.length === 0) throw new TypeError("the holding command needs a program to run");
  for (const [key, value] of Object.entries({ memoryMb, cpus, pids })) {
    if (value !== undefined && !(value > 0 && Number.isFinite(value))) {
      throw new RangeError(`${key} must be above 0, got ${value}`);
    }
  }
}

/** The sandbox that the options ask for. Its limits are a hint for how large a VM must be. */
export function podSandboxConfig(options: SandboxOptions, uid: string): PodSandboxConfig {
  const { name = defaultName, labels } = options;
  return {
    metadata: { name, uid, namespace: "default", attempt: 0 },
    hostname: name,
    labels,
    linux: {
      resources: resources(options),
      securityContext: {
        namespaceOptions: namespaces(options),
        seccomp: { profileType: "runtimeDefault" },
      },
    },
  };
}

/** The container in it: its first process only holds it open, commands are run beside it. */
export function containerConfig(options: SandboxOptions, image: ImageSpec): ContainerConfig {
  const { command = ["sleep", "infinity"], cwd, env = {}, mounts = [], labels } = options;
  const { readonlyRootfs = false, user } = options;
  return {
    metadata: { name: "main", attempt: 0 },
    image,
    command,
    workingDir: cwd,
    envs: Object.entries(env).map(([key, value]) => ({ key, value })),
    mounts: mounts.map(({ hostPath, path, readonly = true }) => ({
      hostPath,
      containerPath: path,
      readonly,
    })),
    labels,
    linux: {
      resources: resources(options),
      securityContext: {
        namespaceOptions: namespaces(options),
        readonlyRootfs,
        noNewPrivs: true,
        seccomp: { profileType: "runtimeDefault" },
        ...identity(user),
      },
    },
    stopSignal: "SIGKILL",
  };
}

function namespaces({ network = "none" }: SandboxOptions): NamespaceOption {
  return { network: network === "none" ? "none" : "pod", pid: "pod", ipc: "pod" };
}

function resources({ memoryMb, cpus, pids }: SandboxOptions): LinuxContainerResources {
  return {
    ...(memoryMb !== undefined && { memoryLimitInBytes: Math.round(memoryMb * 1_048_576) }),
    ...(cpus !== undefined && {
      cpuPeriod: cpuPeriodUs,
      cpuQuota: Math.max(1_000, Math.round(cpus * cpuPeriodUs)),
    }),
    ...(pids !== undefined && { unified: { "pids.max": String(Math.floor(pids)) } }),
  };
}

function identity(user: string | undefined): LinuxContainerSecurityContext {
  if (user === undefined) return {};
  const ids = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(user);
  if (ids === null) return { runAsUsername: user };
  const [, uid, gid] = ids;
  return { runAsUser: Number(uid), ...(gid !== undefined && { runAsGroup: Number(gid) }) };
}
