import { LongshoreError } from "../errors/longshore-error.ts";
import type { JobDocument, RuntimeMode } from "../job/job-document.ts";
import { isImageMatch } from "./image-pattern.ts";

/** What a worker lets in besides what its policy says about subjects. */
export interface AdmissionRules {
  /** A mode that is not named is refused: `process` runs without isolation. @default ["handler"] */
  readonly allowedModes: readonly RuntimeMode[];
  /** Operations, or patterns like `disk.*`. @default ["*"] */
  readonly allowedOperations: readonly string[];
  /** See `isImageMatch`. @default [] – no image at all */
  readonly allowedImages: readonly string[];
  /** For jobs that ask for nothing else */
  readonly defaults: {
    /** @default 300 */
    readonly timeoutSeconds: number;
    /** @default 512 */
    readonly memoryMb: number;
    /** @default 1 */
    readonly cpus: number;
    /** @default 256 */
    readonly pids: number;
  };
  /** More than this is refused */
  readonly max: {
    /** @default 86_400 */
    readonly timeoutSeconds: number;
    readonly memoryMb?: number | undefined;
    readonly cpus?: number | undefined;
    readonly pids?: number | undefined;
    /** @default 1_048_576 */
    readonly payloadBytes: number;
  };
  /** Refuse documents without a signature. @default false */
  readonly requireSignature: boolean;
}

/** The rules a caller names, the others at their defaults. */
export interface AdmissionOverrides extends Partial<Omit<AdmissionRules, "defaults" | "max">> {
  readonly defaults?: Partial<AdmissionRules["defaults"]> | undefined;
  readonly max?: Partial<AdmissionRules["max"]> | undefined;
}

export function admissionRules(overrides: AdmissionOverrides = {}): AdmissionRules {
  return {
    allowedModes: overrides.allowedModes ?? ["handler"],
    allowedOperations: overrides.allowedOperations ?? ["*"],
    allowedImages: overrides.allowedImages ?? [],
    defaults: { timeoutSeconds: 300, memoryMb: 512, cpus: 1, pids: 256, ...overrides.defaults },
    max: { timeoutSeconds: 86_400, payloadBytes: 1_048_576, ...overrides.max },
    requireSignature: overrides.requireSignature ?? false,
  };
}

/**
 * Refuses a document that the rules do not let in.
 *
 * @throws {LongshoreError} `POLICY_DENIED`, `RUNTIME_NOT_SUPPORTED`, `IMAGE_NOT_ALLOWED`, `LIMIT_EXCEEDED`,
 *   `DEADLINE_EXCEEDED`; each message names the setting
 */
export function checkAdmission(document: JobDocument, rules: AdmissionRules): void {
  const { operation, runtime, execution } = document;
  if (!rules.allowedOperations.some((pattern) => isOperationMatch(operation, pattern))) {
    throw refusal("POLICY_DENIED", `"${operation}" is not in policy.allowed_operations.`, {
      operation,
    });
  }
  const mode = runtime?.mode ?? "handler";
  if (!rules.allowedModes.includes(mode)) {
    throw refusal("RUNTIME_NOT_SUPPORTED", `The mode "${mode}" is not in policy.allowed_modes.`, {
      mode,
      allowedModes: rules.allowedModes,
    });
  }
  if (mode === "image" || mode === "sandbox") checkImage(runtime?.image, rules);
  checkLimits(document, rules);
  if (execution.deadline !== undefined && Date.parse(execution.deadline) <= Date.now()) {
    throw refusal("DEADLINE_EXCEEDED", "execution.deadline has passed already.", {
      deadline: execution.deadline,
    });
  }
}

/**
 * Time an attempt may take, in milliseconds: the smallest of the job's own limits, or the worker's default when it has
 * none, and what remains until its deadline. Zero or less when the deadline has passed.
 */
export function effectiveTimeoutMs(
  document: JobDocument,
  rules: AdmissionRules,
  nowMs: number,
): number {
  const { timeoutSeconds, deadline } = document.execution;
  const limitSeconds = Math.min(
    timeoutSeconds ?? Infinity,
    document.runtime?.limits?.maxRuntimeSeconds ?? Infinity,
  );
  const timeoutMs =
    1_000 * (Number.isFinite(limitSeconds) ? limitSeconds : rules.defaults.timeoutSeconds);
  return deadline === undefined ? timeoutMs : Math.min(timeoutMs, Date.parse(deadline) - nowMs);
}

function checkImage(image: string | undefined, rules: AdmissionRules): void {
  if (image !== undefined && rules.allowedImages.some((pattern) => isImageMatch(image, pattern))) {
    return;
  }
  throw refusal(
    "IMAGE_NOT_ALLOWED",
    `The image "${image ?? ""}" is not in policy.allowed_images.`,
    { image: image ?? null },
  );
}

function checkLimits({ execution, runtime }: JobDocument, { max }: AdmissionRules): void {
  const limits = runtime?.limits;
  const wanted: readonly (readonly [string, number | undefined, number | undefined])[] = [
    ["execution.timeout_seconds", execution.timeoutSeconds, max.timeoutSeconds],
    ["runtime.limits.max_runtime_seconds", limits?.maxRuntimeSeconds, max.timeoutSeconds],
    ["runtime.limits.memory_mb", limits?.memoryMb, max.memoryMb],
    ["runtime.limits.cpus", limits?.cpus, max.cpus],
    ["runtime.limits.pids", limits?.pids, max.pids],
  ];
  for (const [path, value, maximum] of wanted) {
    if (value === undefined || maximum === undefined || value <= maximum) continue;
    throw refusal("LIMIT_EXCEEDED", `${path} is ${value}; policy.max allows ${maximum}.`, {
      path,
      value,
      maximum,
    });
  }
}

function isOperationMatch(operation: string, pattern: string): boolean {
  if (pattern === "*" || pattern === operation) return true;
  return pattern.endsWith(".*") && operation.startsWith(pattern.slice(0, -1));
}

function refusal(
  code:
    | "POLICY_DENIED"
    | "RUNTIME_NOT_SUPPORTED"
    | "IMAGE_NOT_ALLOWED"
    | "LIMIT_EXCEEDED"
    | "DEADLINE_EXCEEDED",
  message: string,
  details: Readonly<Record<string, unknown>>,
): LongshoreError {
  return new LongshoreError(code, message, { phase: "validation", details });
}
