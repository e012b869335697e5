import type { ErrorCode } from "../errors/error-codes.ts";
import { LongshoreError } from "../errors/longshore-error.ts";
import type { JobDocument, RuntimeMode } from "../job/job-document.ts";
import { assertImagePattern, isImageMatch } from "./image-pattern.ts";

/** What a worker lets in besides what its policy says about subjects. */
export interface AdmissionRules {
  /**
   * A mode that is not named is refused. Handlers are the host program's own code; every other mode runs what the job
   * brings, and `process` does so without isolation. @default ["handler"]
   */
  readonly allowedModes: readonly RuntimeMode[];
  /** Operations, or patterns like `disk.*`. @default ["*"] */
  readonly allowedOperations: readonly string[];
  /** See `isImageMatch`; `["*"]` is every image. @default [] – no image at all */
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

const modes: ReadonlySet<string> = new Set<RuntimeMode>([
  "handler",
  "process",
  "image",
  "build",
  "sandbox",
]);

/** The rules a caller names, the others at their defaults. */
export interface AdmissionOverrides extends Partial<Omit<AdmissionRules, "defaults" | "max">> {
  readonly defaults?: Partial<AdmissionRules["defaults"]> | undefined;
  readonly max?: Partial<AdmissionRules["max"]> | undefined;
}

/** @throws {LongshoreError} `CONFIG_ERROR` for a rule that makes no sense */
export function admissionRules(overrides: AdmissionOverrides = {}): AdmissionRules {
  const rules: AdmissionRules = {
    allowedModes: overrides.allowedModes ?? ["handler"],
    allowedOperations: overrides.allowedOperations ?? ["*"],
    allowedImages: overrides.allowedImages ?? [],
    defaults: { timeoutSeconds: 300, memoryMb: 512, cpus: 1, pids: 256, ...overrides.defaults },
    max: { timeoutSeconds: 86_400, payloadBytes: 1_048_576, ...overrides.max },
    requireSignature: overrides.requireSignature ?? false,
  };
  for (const mode of rules.allowedModes) {
    if (!modes.has(mode)) throw ruleError("allowed_modes", `"${mode}" is not a mode`);
  }
  rules.allowedImages.forEach(assertImagePattern);
  for (const group of ["defaults", "max"] as const) {
    for (const [name, value] of Object.entries(rules[group])) {
      if (value === undefined || value > 0) continue;
      throw ruleError(`${group}.${name}`, `${value} is not more than 0`);
    }
  }
  return rules;
}

/**
 * Refuses a document that the rules do not let in.
 *
 * @param nowMs for the deadline, in ms since the epoch. @default the clock
 * @throws {LongshoreError} `POLICY_DENIED`, `BAD_RUNTIME_MODE`, `RUNTIME_NOT_SUPPORTED`, `IMAGE_NOT_ALLOWED`,
 *   `LIMIT_EXCEEDED`, `DEADLINE_EXCEEDED`; each message names the setting
 */
export function checkAdmission(
  document: JobDocument,
  rules: AdmissionRules,
  nowMs: number = Date.now(),
): void {
  const { operation, runtime, execution } = document;
  if (!rules.allowedOperations.some((pattern) => isOperationMatch(operation, pattern))) {
    throw refusal("POLICY_DENIED", `"${operation}" is not in policy.allowed_operations.`, {
      operation,
    });
  }
  const mode = runtime?.mode ?? "handler";
  if (!rules.allowedModes.includes(mode)) throw modeRefusal(mode, rules);
  if (mode === "image" || runtime?.image !== undefined) checkImage(runtime?.image, rules);
  checkSandbox(runtime?.sandbox, rules);
  checkLimits(document, rules);
  if (execution.deadline !== undefined && !(Date.parse(execution.deadline) > nowMs)) {
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

function modeRefusal(mode: string, rules: AdmissionRules): LongshoreError {
  if (!modes.has(mode)) {
    return refusal(
      "BAD_RUNTIME_MODE",
      `"${mode}" is not a mode; there are ${[...modes].join(", ")}.`,
      {
        mode,
      },
    );
  }
  return refusal("RUNTIME_NOT_SUPPORTED", `The mode "${mode}" is not in policy.allowed_modes.`, {
    mode,
    allowedModes: rules.allowedModes,
  });
}

function checkImage(image: string | undefined, rules: AdmissionRules): void {
  if (image !== undefined && rules.allowedImages.some((pattern) => isImageMatch(image, pattern))) {
    return;
  }
  throw refusal(
    "IMAGE_NOT_ALLOWED",
    image === undefined
      ? "The job names no image."
      : `The image "${image}" is not in policy.allowed_images.`,
    { image: image ?? null },
  );
}

function checkLimits({ execution, runtime, payload }: JobDocument, { max }: AdmissionRules): void {
  const limits = runtime?.limits;
  const sandbox = sandboxFields(runtime?.sandbox);
  const wanted: readonly (readonly [path: string, setting: keyof typeof max, value: unknown])[] = [
    ["execution.timeout_seconds", "timeoutSeconds", execution.timeoutSeconds],
    ["runtime.limits.max_runtime_seconds", "timeoutSeconds", limits?.maxRuntimeSeconds],
    ["runtime.limits.memory_mb", "memoryMb", limits?.memoryMb],
    ["runtime.limits.cpus", "cpus", limits?.cpus],
    ["runtime.limits.pids", "pids", limits?.pids],
    ["runtime.sandbox.memory_mb", "memoryMb", sandbox["memory_mb"]],
    ["runtime.sandbox.cpus", "cpus", sandbox["cpus"]],
    ["runtime.sandbox.vcpus", "cpus", sandbox["vcpus"]],
    ["runtime.sandbox.pids", "pids", sandbox["pids"]],
    ["payload.data", "payloadBytes", jsonBytes(payload.data)],
  ];
  for (const [path, setting, value] of wanted) {
    const maximum = max[setting];
    if (value === undefined || maximum === undefined) continue;
    // What is not a number cannot be compared, so it is not let through.
    if (typeof value === "number" && value <= maximum) continue;
    const shown = typeof value === "number" ? value : "not a number";
    throw refusal(
      "LIMIT_EXCEEDED",
      `${path} is ${shown}; policy.max.${wireName(setting)} allows ${maximum}.`,
      { path, value: shown, maximum },
    );
  }
}

/** A sandbox's image counts like the job's own, and what reaches the host is for nobody to ask from outside. */
function checkSandbox(sandbox: unknown, rules: AdmissionRules): void {
  const { image, mounts, ports } = sandboxFields(sandbox);
  if (image !== undefined) checkImage(typeof image === "string" ? image : undefined, rules);
  for (const [name, value] of Object.entries({ mounts, ports })) {
    if (value === undefined || (Array.isArray(value) && value.length === 0)) continue;
    const path = `runtime.sandbox.${name}`;
    throw refusal("POLICY_DENIED", `${path} reaches the host, which a job may not.`, { path });
  }
}

/** The fields of a sandbox, which keep their wire names: its form belongs to whoever runs it. */
function sandboxFields(sandbox: unknown): Readonly<Record<string, unknown>> {
  return typeof sandbox === "object" && sandbox !== null ? { ...sandbox } : {};
}

function jsonBytes(data: unknown): number {
  return Buffer.byteLength(JSON.stringify(data) ?? "");
}

function wireName(setting: string): string {
  return setting.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function ruleError(setting: string, problem: string): LongshoreError {
  return new LongshoreError("CONFIG_ERROR", `policy.${wireName(setting)}: ${problem}.`, {
    details: { setting: `policy.${wireName(setting)}` },
  });
}

function isOperationMatch(operation: string, pattern: string): boolean {
  if (pattern === "*" || pattern === operation) return true;
  return pattern.endsWith(".*") && operation.startsWith(pattern.slice(0, -1));
}

function refusal(
  code: ErrorCode,
  message: string,
  details: Readonly<Record<string, unknown>>,
): LongshoreError {
  return new LongshoreError(code, message, { phase: "validation", details });
}
