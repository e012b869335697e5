import {
  LongshoreError,
  type EgressRules,
  type JobRuntime,
  type LinuxContainerResources,
} from "@longshore/core";
import type { ContainerHandlerOptions, NetworkAccess } from "./container-handler-options.ts";
import { isHostCovered } from "./egress-hosts.ts";

const cpuPeriodUs = 100_000;
const mib = 1_048_576;
const order: readonly NetworkAccess[] = ["none", "egress", "bridge"];
const maxEgressHosts = 256;

/** What a job may use, all of it set. */
export interface SandboxWishes {
  readonly resources: LinuxContainerResources;
  readonly network: "none" | "pod";
  readonly egress: EgressRules | undefined;
  /** The backend a job of mode `sandbox` asks for */
  readonly backend: string;
}

/**
 * The limits of a job: its own, or else those of the worker's rules; and its network.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`, `RUNTIME_NOT_SUPPORTED` for a limit that a container cannot have,
 *   `POLICY_DENIED` for more network than the worker gives, or other hosts
 */
export function sandboxWishes(
  runtime: JobRuntime,
  { rules, network: most = "none", allowedHosts = [] }: ContainerHandlerOptions,
): SandboxWishes {
  const { limits } = runtime;
  const sandbox = readSandbox(runtime.sandbox);
  if (limits?.diskMb !== undefined) {
    throw new LongshoreError(
      "RUNTIME_NOT_SUPPORTED",
      "The limit disk_mb cannot be kept: a container's files have no limit of their own.",
      { phase: "validation", details: { limit: "disk_mb" } },
    );
  }
  const memoryBytes = Math.round(
    smallest(limits?.memoryMb, sandbox.memoryMb, rules.defaults.memoryMb) * mib,
  );
  const cpus = smallest(limits?.cpus, sandbox.vcpus, rules.defaults.cpus);
  const pids = limits?.pids ?? rules.defaults.pids;
  const wanted = networkOf(sandbox.network ?? limits?.network ?? "none");
  if (order.indexOf(wanted.access) > order.indexOf(most)) {
    throw new LongshoreError(
      "POLICY_DENIED",
      `The job asks for the network "${wanted.access}"; this worker gives "${most}" at most.`,
      { phase: "validation", details: { network: wanted.access, most } },
    );
  }
  const forbidden = wanted.egress?.allow.find((host) => !isHostCovered(host, allowedHosts));
  if (forbidden !== undefined) {
    throw new LongshoreError(
      "POLICY_DENIED",
      `The job asks for the host ${JSON.stringify(forbidden)}, which this worker does not allow.`,
      { phase: "validation", details: { host: forbidden, setting: "policy.allowed_hosts" } },
    );
  }
  return {
    resources: {
      memoryLimitInBytes: memoryBytes,
      // Memory and swap together: none of it may be swap.
      memorySwapLimitInBytes: memoryBytes,
      cpuPeriod: cpuPeriodUs,
      cpuQuota: Math.max(1_000, Math.round(cpus * cpuPeriodUs)),
      unified: { "pids.max": String(Math.max(1, Math.floor(pids))) },
    },
    network: wanted.access === "none" ? "none" : "pod",
    egress: wanted.egress,
    backend: sandbox.backend ?? "auto",
  };
}

/** The smaller of what the job says in two places, or the default when it says nothing. */
function smallest(one: number | undefined, two: number | undefined, otherwise: number): number {
  const least = Math.min(one ?? Infinity, two ?? Infinity);
  return Number.isFinite(least) ? least : otherwise;
}

interface SandboxField {
  readonly backend?: string | undefined;
  readonly vcpus?: number | undefined;
  readonly memoryMb?: number | undefined;
  readonly network?: unknown;
}

/** `runtime.sandbox` keeps its wire names. */
function readSandbox(value: unknown): SandboxField {
  if (value === undefined) return {};
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid("runtime.sandbox", "must be an object");
  }
  const fields = value as Readonly<Record<string, unknown>>;
  const { backend, network } = fields;
  if (backend !== undefined && (typeof backend !== "string" || backend === "")) {
    throw invalid("runtime.sandbox.backend", 'must be "auto" or a name');
  }
  const size = (name: string): number | undefined => {
    const number = fields[name];
    if (number === undefined) return undefined;
    if (typeof number === "number" && number > 0 && Number.isFinite(number)) return number;
    throw invalid(`runtime.sandbox.${name}`, "must be a number above 0");
  };
  return { backend, vcpus: size("vcpus"), memoryMb: size("memory_mb"), network };
}

function networkOf(value: unknown): {
  readonly access: NetworkAccess;
  readonly egress?: EgressRules;
} {
  if (value === "none" || value === "bridge") return { access: value };
  const field = "runtime.sandbox.network";
  if (typeof value !== "object" || value === null || !("allow" in value)) {
    throw invalid(field, 'must be "none", "bridge" or { "allow": [hosts] }');
  }
  const { allow } = value;
  const isList =
    Array.isArray(allow) &&
    allow.length <= maxEgressHosts &&
    allow.every((host): host is string => typeof host === "string" && host.length <= 260);
  if (!isList) {
    throw invalid(`${field}.allow`, `must be a list of at most ${maxEgressHosts} hosts`);
  }
  return { access: "egress", egress: { allow } };
}

export function invalid(path: string, message: string, cause?: unknown): LongshoreError {
  return new LongshoreError("VALIDATION_ERROR", `${path}: ${message}`, {
    phase: "validation",
    details: { issues: [{ path, code: "custom", message }] },
    cause,
  });
}
