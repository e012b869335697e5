import semver from "semver";
import type { JobDocument } from "../job/job-document.ts";
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
}

/** Why a worker cannot run a job. */
export interface MismatchReason {
  /** Field of the document, in wire names */
  readonly field: string;
  readonly message: string;
}

export type Match =
  | { readonly ok: true }
  | { readonly ok: false; readonly reasons: readonly MismatchReason[] };

/** Whether one worker can run one job; every reason against it, not only the first. */
export function matches(document: JobDocument, worker: MatchedWorker): Match {
  const reasons = [
    ...routingReasons(document, worker),
    ...constraintReasons(document, worker),
    ...runtimeReasons(document, worker),
    ...resourceReasons(document, worker),
  ];
  return reasons.length === 0 ? { ok: true } : { ok: false, reasons };
}

function* routingReasons(
  { routing = {}, constraints }: JobDocument,
  worker: MatchedWorker,
): Generator<MismatchReason> {
  const { workerId, workerPool, selector = {} } = routing;
  if (workerId !== undefined && workerId !== worker.workerId) {
    yield { field: "routing.worker_id", message: `It is for the worker ${workerId}.` };
  }
  if (workerPool !== undefined && workerPool !== worker.pool) {
    yield { field: "routing.worker_pool", message: `It is for the pool ${workerPool}.` };
  }
  const pools = constraints?.allowedWorkerPools;
  if (pools !== undefined && !pools.includes(worker.pool)) {
    yield {
      field: "routing.allowed_worker_pools",
      message: `Only the pools ${pools.join(", ")} may run it.`,
    };
  }
  for (const [key, value] of Object.entries(selector)) {
    if (worker.labels[key] !== value) {
      yield { field: "routing.selector", message: `The worker has no label ${key}=${value}.` };
    }
  }
  for (const taint of worker.taints ?? []) {
    if (taint.effect === "no_schedule" && !isTolerated(taint, routing.tolerations ?? [])) {
      yield {
        field: "routing.tolerations",
        message: `The worker's taint ${taint.key} is not tolerated.`,
      };
    }
  }
}

function* constraintReasons(
  { constraints = {} }: JobDocument,
  { capabilities }: MatchedWorker,
): Generator<MismatchReason> {
  const { features, operations, workerVersion } = capabilities;
  const minimum = constraints.minimumWorkerVersion;
  if (minimum !== undefined && !isAtLeast(workerVersion, minimum)) {
    yield {
      field: "constraints.minimum_worker_version",
      message: `The worker has version ${workerVersion}; ${minimum} is needed.`,
    };
  }
  for (const wanted of constraints.requiredCapabilities ?? []) {
    if (!features.includes(wanted) && !operations.some((name) => isCovered(wanted, name))) {
      yield {
        field: "constraints.required_capabilities",
        message: `The worker lacks ${wanted}.`,
      };
    }
  }
  for (const wanted of constraints.requiredFeatures ?? []) {
    if (!features.includes(wanted)) {
      yield { field: "constraints.required_features", message: `The worker lacks ${wanted}.` };
    }
  }
  if (constraints.requirePrivileged === true && !capabilities.privileged) {
    yield {
      field: "constraints.require_privileged",
      message: "The worker is not privileged.",
    };
  }
}

function* runtimeReasons(
  { constraints, runtime }: JobDocument,
  { capabilities }: MatchedWorker,
): Generator<MismatchReason> {
  if (runtime?.mode === "process" && runtime.runtime !== undefined) {
    const name = normalizeRuntime(runtime.runtime);
    if (!capabilities.runtimes.includes(name)) {
      yield { field: "runtime.runtime", message: `The worker has no runtime ${name}.` };
    }
  }
  for (const [wanted, range] of Object.entries(constraints?.requiredRuntimes ?? {})) {
    const name = normalizeRuntime(wanted);
    const versions = capabilities.runtimeVersions[name] ?? [];
    const isThere = capabilities.runtimes.includes(name);
    const fits =
      range === "*"
        ? isThere
        : versions.some((version) => {
            const known = semver.coerce(version);
            return known !== null && semver.satisfies(known, range);
          });
    if (!fits) {
      const found = versions.length === 0 ? "no known version" : versions.join(", ");
      yield {
        field: `constraints.required_runtimes.${wanted}`,
        message: `${name} ${range} is needed; the worker has ${isThere ? found : "none"}.`,
      };
    }
  }
}

function* resourceReasons(
  { constraints, runtime }: JobDocument,
  { capabilities: { limits } }: MatchedWorker,
): Generator<MismatchReason> {
  const wanted: readonly (readonly [string, number | undefined, number | undefined])[] = [
    ["constraints.maximum_disk_size_gb", constraints?.maximumDiskSizeGb, limits.maxDiskSizeGb],
    ["runtime.limits.memory_mb", runtime?.limits?.memoryMb, limits.memoryMb],
    ["runtime.limits.cpus", runtime?.limits?.cpus, limits.cpus],
  ];
  for (const [field, value, limit] of wanted) {
    if (value !== undefined && limit !== undefined && value > limit) {
      yield { field, message: `${field} is ${value}; the worker has ${limit}.` };
    }
  }
}

function isTolerated(taint: Taint, tolerations: readonly unknown[]): boolean {
  return tolerations.some((toleration) => {
    if (typeof toleration !== "object" || toleration === null) return false;
    const { key, effect, operator, value } = { ...toleration } as Record<string, unknown>;
    if (key !== taint.key || (effect !== undefined && effect !== taint.effect)) return false;
    return operator === "exists" || value === taint.value;
  });
}

function isCovered(operation: string, name: string): boolean {
  return name === operation || (name.endsWith(".*") && operation.startsWith(name.slice(0, -1)));
}

function isAtLeast(version: string, minimum: string): boolean {
  const [have, want] = [semver.coerce(version), semver.coerce(minimum)];
  return have !== null && want !== null && semver.gte(have, want);
}
