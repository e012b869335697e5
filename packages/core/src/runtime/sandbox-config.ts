import { randomBytes } from "node:crypto";
import type { ImageSpec } from "../image/image.ts";
import type { ContainerConfig } from "./container.ts";
import type { EgressRules, EgressSecret, PodSandboxConfig } from "./pod-sandbox.ts";
import type { LinuxContainerResources } from "./resources.ts";
import type { LinuxContainerSecurityContext, NamespaceOption } from "./security-context.ts";
import { sandboxLabels } from "./sandbox-labels.ts";
import type { SandboxSpec } from "./sandbox-spec.ts";

const cpuPeriodUs = 100_000;
const defaultName = "sandbox";

export interface SandboxIdentity {
  readonly uid: string;
  /** Beside the spec's own */
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** What a spec asks of a runtime. */
export interface SandboxConfigs {
  readonly pod: PodSandboxConfig;
  /** The container in it: its first process only holds it open, commands are run beside it. */
  container(image: ImageSpec): ContainerConfig;
}

/** @param spec checked already */
export function sandboxConfigs(spec: SandboxSpec, identity: SandboxIdentity): SandboxConfigs {
  const secrets = Object.entries(spec.egress?.secrets ?? {}).map(([name, { hosts, value }]) => ({
    name,
    secret: { placeholder: `longshore-${randomBytes(24).toString("hex")}`, value, hosts },
  }));
  const placeholders = secrets.map(({ name, secret }) => ({
    key: name,
    value: secret.placeholder,
  }));
  return {
    pod: podConfig(
      spec,
      identity,
      secrets.map(({ secret }) => secret),
    ),
    container(image) {
      const { env = {}, ...config } = containerConfig(spec, image);
      const envs = Object.entries(env).map(([key, value]) => ({ key, value }));
      return { ...config, envs: [...envs, ...placeholders] };
    },
  };
}

function podConfig(
  spec: SandboxSpec,
  identity: SandboxIdentity,
  secrets: readonly EgressSecret[],
): PodSandboxConfig {
  const { name = defaultName, labels, ports = [], timeoutMs, idleTimeoutMs } = spec;
  return {
    metadata: { name, uid: identity.uid, namespace: "longshore", attempt: 0 },
    hostname: name,
    labels: { ...labels, ...identity.labels, [sandboxLabels.name]: name },
    annotations: {
      ...(timeoutMs !== undefined && { [sandboxLabels.timeoutMs]: String(timeoutMs) }),
      ...(idleTimeoutMs !== undefined && { [sandboxLabels.idleTimeoutMs]: String(idleTimeoutMs) }),
    },
    portMappings: ports.map(({ port, hostPort = port, hostIp = "127.0.0.1", protocol }) => ({
      containerPort: port,
      hostPort,
      hostIp,
      protocol,
    })),
    egress: egressRules(spec, secrets),
    linux: {
      resources: resources(spec),
      securityContext: {
        namespaceOptions: namespaces(spec),
        seccomp: { profileType: "runtimeDefault" },
      },
    },
  };
}

function containerConfig(
  spec: SandboxSpec,
  image: ImageSpec,
): Omit<ContainerConfig, "envs"> & Pick<SandboxSpec, "env"> {
  const { command = ["sleep", "infinity"], cwd, env, mounts = [], labels, user } = spec;
  return {
    metadata: { name: "main", attempt: 0 },
    image,
    command,
    workingDir: cwd,
    env,
    mounts: mounts.map(({ hostPath, path, readonly = true }) => ({
      hostPath,
      containerPath: path,
      readonly,
    })),
    labels,
    linux: {
      resources: resources(spec),
      securityContext: {
        namespaceOptions: namespaces(spec),
        readonlyRootfs: spec.readonlyRootfs ?? false,
        noNewPrivs: true,
        seccomp: { profileType: "runtimeDefault" },
        ...identityOf(user),
      },
    },
    stopSignal: "SIGKILL",
  };
}

/**
 * `ports` alone opens a way in and none out. Only the word `"bridge"` without `egress` gives what the network gives.
 */
function egressRules(
  { network, egress, ports = [] }: SandboxSpec,
  secrets: readonly EgressSecret[],
): EgressRules | undefined {
  if (egress !== undefined) return { allow: egress.allow, secrets };
  return network === undefined && ports.length > 0 ? { allow: [] } : undefined;
}

function namespaces({ network, egress, ports = [] }: SandboxSpec): NamespaceOption {
  const needsNetwork = network === "bridge" || egress !== undefined || ports.length > 0;
  return { network: needsNetwork ? "pod" : "none", pid: "pod", ipc: "pod" };
}

function resources({ memoryMb, cpus, pids }: SandboxSpec): LinuxContainerResources {
  return {
    ...(memoryMb !== undefined && { memoryLimitInBytes: Math.round(memoryMb * 1_048_576) }),
    ...(cpus !== undefined && {
      cpuPeriod: cpuPeriodUs,
      cpuQuota: Math.max(1_000, Math.round(cpus * cpuPeriodUs)),
    }),
    ...(pids !== undefined && { unified: { "pids.max": String(Math.max(1, Math.floor(pids))) } }),
  };
}

function identityOf(user: string | undefined): LinuxContainerSecurityContext {
  if (user === undefined) return {};
  const ids = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(user);
  if (ids === null) return { runAsUsername: user };
  const [, uid, gid] = ids;
  return { runAsUser: Number(uid), ...(gid !== undefined && { runAsGroup: Number(gid) }) };
}
