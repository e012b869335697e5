import semver from "semver";
import type { JobDocument } from "../job/job-document.ts";
import { affinityProblem, antiAffinityProblem } from "./affinity.ts";
import type { Capabilities } from "./capabilities.ts";
import { normalizeRuntime } from "./runtime-names.ts";

/** A taint keeps jobs away that do not tolerate it, as in Kubernetes. */
export interface Taint {
  readonly key: string;
  readonly value?: string | undefined;
  readonly effect: "no_schedule" | "prefer_no_schedule";
}

export interface MatchedWorker {
  readonly workerId: string;
  readonly pool: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly taints?: readonly Taint[] | undefined;
  readonly capabilities: Capabilities;
  /** Whether a job runs on the worker now. @default no job does */
  isRunning?(jobId: string): boolean;
}

/**
 * What does not fit. The first five are about where the job wants to be, so that another worker, alike in all it can do,
 * may well run it; the others about what this worker cannot do.
 */
export type MismatchCode =
  | "WORKER_ID"
  | "WORKER_POOL"
  | "SELECTOR"
  | "TAINT"
  | "AFFINITY"
  | "PROTOCOL_VERSION"
  | "WORKER_VERSION"
  | "CAPABILITY"
  | "FEATURE"
  | "PRIVILEGED"
  | "RUNTIME"
  | "RESOURCES";

/** Why a worker cannot run a job. */
export interface MismatchReason {
  readonly code: MismatchCode;
  /** Field of the document, in wire names */
  readonly field: string;
  readonly message: string;
}

export type Match =
  | { readonly ok: true }
  | { readonly ok: false; readonly reasons: readonly MismatchReason[] };

const placementCodes: ReadonlySet<MismatchCode> = new Set<MismatchCode>([
  "WORKER_ID",
  "WORKER_POOL",
  "SELECTOR",
  "TAINT",
  "AFFINITY",
]);

/** Whether the job is only meant for other workers, and not beyond this one's abilities. */
export function isMisplaced(reasons: readonly MismatchReason[]): boolean {
  return reasons.length > 0 && reasons.every(({ code }) => placementCodes.has(code));
}

/**
 * Whether one worker can run one job; every reason against it, not only the first.
 *
 * Says nothing about the worker's state and free slots, nor whether a handler has the job's operation.
 */
export function matches(document: JobDocument, worker: MatchedWorker): Match {
  const reasons = [
    ...versionReasons(document, worker),
    ...routingReasons(document, worker),
    ...labelReasons(document, worker),
    ...constraintReasons(document, worker),
    ...runtimeReasons(document, worker),
    ...resourceReasons(document, worker),
  ];
  return reasons.length === 0 ? { ok: true } : { ok: false, reasons };
}

function* versionReasons(
  { version, constraints }: JobDocument,
  { capabilities: { protocolVersions, workerVersion } }: MatchedWorker,
): Generator<MismatchReason> {
  const [major] = version.split(".");
  if (!protocolVersions.some((known) => known.split(".")[0] === major)) {
    yield {
      code: "PROTOCOL_VERSION",
      field: "version",
      message: `The worker knows the protocol ${protocolVersions.join(", ")}; the job has ${version}.`,
    };
  }
  const minimum = constraints?.minimumWorkerVersion;
  if (minimum !== undefined && !isAtLeast(workerVersion, minimum)) {
    yield {
      code: "WORKER_VERSION",
      field: "constraints.minimum_worker_version",
      message: `The worker has version ${workerVersion}; ${minimum} is needed.`,
    };
  }
}

function* routingReasons(
  { routing = {}, constraints }: JobDocument,
  worker: MatchedWorker,
): Generator<MismatchReason> {
  const { workerId, workerPool } = routing;
  if (workerId !== undefined && workerId !== worker.workerId) {
    yield {
      code: "WORKER_ID",
      field: "routing.worker_id",
      message: `It is for the worker ${workerId}.`,
    };
  }
  if (workerPool !== undefined && workerPool !== worker.pool) {
    yield {
      code: "WORKER_POOL",
      field: "routing.worker_pool",
      message: `It is for the pool ${workerPool}.`,
    };
  }
  const pools = constraints?.allowedWorkerPools;
  if (pools !== undefined && !pools.includes(worker.pool)) {
    yield {
      code: "WORKER_POOL",
      field: "constraints.allowed_worker_pools",
      message: `Only the pools ${pools.join(", ")} may run it.`,
    };
  }
}

function* labelReasons(
  { routing = {} }: JobDocument,
  worker: MatchedWorker,
): Generator<MismatchReason> {
  for (const [key, value] of Object.entries(routing.selector ?? {})) {
    if (!Object.hasOwn(worker.labels, key) || worker.labels[key] !== value) {
      yield {
        code: "SELECTOR",
        field: "routing.selector",
        message: `The worker has no label ${key}=${value}.`,
      };
    }
  }
  for (const taint of worker.taints ?? []) {
    if (taint.effect === "no_schedule" && !isTolerated(taint, routing.tolerations ?? [])) {
      yield {
        code: "TAINT",
        field: "routing.tolerations",
        message: `The worker's taint ${taint.key} is not tolerated.`,
      };
    }
  }
  const isRunning = (jobId: string): boolean => worker.isRunning?.(jobId) ?? false;
  const unfitting = affinityProblem(routing.affinity, worker.labels);
  if (unfitting !== undefined) {
    yield { code: "AFFINITY", field: "routing.affinity", ...unfitting };
  }
  const unwanted = antiAffinityProblem(routing.antiAffinity, worker.labels, isRunning);
  if (unwanted !== undefined) {
    yield { code: "AFFINITY", field: "routing.anti_affinity", ...unwanted };
  }
}

function* constraintReasons(
  { constraints = {} }: JobDocument,
  { capabilities }: MatchedWorker,
): Generator<MismatchReason> {
  const { features, operations } = capabilities;
  for (const wanted of constraints.requiredCapabilities ?? []) {
    if (!features.includes(wanted) && !operations.some((name) => isCovered(wanted, name))) {
      yield {
        code: "CAPABILITY",
        field: "constraints.required_capabilities",
        message: `The worker lacks ${wanted}.`,
      };
    }
  }
  for (const wanted of constraints.requiredFeatures ?? []) {
    if (!features.includes(wanted)) {
      yield {
        code: "FEATURE",
        field: "constraints.required_features",
        message: `The worker lacks ${wanted}.`,
      };
    }
  }
  if (constraints.requirePrivileged === true && !capabilities.privileged) {
    yield {
      code: "PRIVILEGED",
      field: "constraints.require_privileged",
      message: "The worker is not privileged.",
    };
  }
}

function* runtimeReasons(
  { constraints, runtime }: JobDocument,
  { capabilities }: MatchedWorker,
): Generator<MismatchReason> {
  const runtimes = new Set(capabilities.runtimes.map(normalizeRuntime));
  if (runtime?.mode === "process" && runtime.runtime !== undefined) {
    const name = normalizeRuntime(runtime.runtime);
    if (!runtimes.has(name)) {
      yield {
        code: "RUNTIME",
        field: "runtime.runtime",
        message: `The worker has no runtime ${name}.`,
      };
    }
  }
  for (const [wanted, range] of Object.entries(constraints?.requiredRuntimes ?? {})) {
    const name = normalizeRuntime(wanted);
    const versions = runtimes.has(name) ? versionsOf(capabilities, name) : undefined;
    const isEnough =
      versions !== undefined &&
      (range === "*" || versions.some((version) => isWithin(version, range)));
    if (isEnough) continue;
    yield {
      code: "RUNTIME",
      field: `constraints.required_runtimes.${wanted}`,
      message: `${name} ${range} is needed; the worker has ${describeVersions(versions)}.`,
    };
  }
}

function* resourceReasons(
  { constraints, runtime }: JobDocument,
  { capabilities: { limits } }: MatchedWorker,
): Generator<MismatchReason> {
  const { maxDiskSizeGb, memoryMb, cpus } = limits;
  const sandbox = sandboxSize(runtime?.sandbox);
  const wanted: readonly (readonly [field: string, value: unknown, limit: number | undefined])[] = [
    ["constraints.maximum_disk_size_gb", constraints?.maximumDiskSizeGb, maxDiskSizeGb],
    ["runtime.limits.memory_mb", runtime?.limits?.memoryMb, memoryMb],
    ["runtime.limits.cpus", runtime?.limits?.cpus, cpus],
    ["runtime.sandbox.memory_mb", sandbox.memoryMb, memoryMb],
    ["runtime.sandbox.cpus", sandbox.cpus, cpus],
    ["runtime.sandbox.vcpus", sandbox.vcpus, cpus],
  ];
  for (const [field, value, limit] of wanted) {
    if (typeof value === "number" && limit !== undefined && value > limit) {
      yield {
        code: "RESOURCES",
        field,
        message: `${field} is ${value}; the worker has ${limit}.`,
      };
    }
  }
}

/** A toleration whose operator is not known tolerates nothing. */
function isTolerated(taint: Taint, tolerations: readonly unknown[]): boolean {
  return tolerations.some((toleration) => {
    if (typeof toleration !== "object" || toleration === null) return false;
    const { key, effect, operator, value } = { ...toleration } as Record<string, unknown>;
    if (key !== taint.key) return false;
    if (effect !== undefined && plainWord(effect) !== plainWord(taint.effect)) return false;
    const how = operator === undefined ? "equal" : plainWord(operator);
    if (how === "exists") return true;
    return how === "equal" && (value ?? "") === (taint.value ?? "");
  });
}

/** Kubernetes writes `NoSchedule` and `Exists` where this protocol writes `no_schedule` and `exists`. */
function plainWord(word: unknown): string {
  return typeof word === "string" ? word.replaceAll("_", "").toLowerCase() : "";
}

function versionsOf({ runtimeVersions }: Capabilities, runtime: string): readonly string[] {
  return Object.entries(runtimeVersions).flatMap(([name, versions]) =>
    normalizeRuntime(name) === runtime ? versions : [],
  );
}

function describeVersions(versions: readonly string[] | undefined): string {
  if (versions === undefined) return "none";
  return versions.length === 0 ? "no known version" : versions.join(", ");
}

function isWithin(version: string, range: string): boolean {
  const known = semver.coerce(version);
  return known !== null && semver.satisfies(known, range);
}

/** The size of a sandbox keeps its wire names: its form belongs to whoever runs it. */
function sandboxSize(sandbox: unknown): {
  readonly memoryMb?: unknown;
  readonly cpus?: unknown;
  readonly vcpus?: unknown;
} {
  if (typeof sandbox !== "object" || sandbox === null) return {};
  return {
    ...("memory_mb" in sandbox && { memoryMb: sandbox.memory_mb }),
    ...("cpus" in sandbox && { cpus: sandbox.cpus }),
    ...("vcpus" in sandbox && { vcpus: sandbox.vcpus }),
  };
}

function isCovered(operation: string, name: string): boolean {
  return name === operation || (name.endsWith(".*") && operation.startsWith(name.slice(0, -1)));
}

function isAtLeast(version: string, minimum: string): boolean {
  const [have, want] = [toVersion(version), toVersion(minimum)];
  return have !== null && want !== null && semver.gte(have, want);
}

/** `1.2` is taken for `1.2.0`; a pre-release stays one. */
function toVersion(text: string): semver.SemVer | null {
  return semver.parse(text) ?? semver.coerce(text);
}
