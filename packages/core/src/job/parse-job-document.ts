import { isLongshoreError, LongshoreError } from "../errors/longshore-error.ts";
import { decodeJobDocument, unknownJobFields, type WireDocument } from "./codec.ts";
import { runtimeModes } from "./job-document-schema.ts";
import type { JobDocument } from "./job-document.ts";
import { jsonProblem } from "./json-problem.ts";
import { parseYaml } from "./parse-yaml.ts";
import type { UnknownField } from "./rename-plan.ts";
import { convertV0, isV0Field, toV0Path } from "./v0-document.ts";
import { badRuntimeMode, issuesError, toPath, type ValidationIssue } from "./validation-error.ts";

export interface ParseOptions {
  readonly contentType: "application/json" | "application/yaml";
  /** Refuse fields that this version does not know. @default false */
  readonly strict?: boolean | undefined;
  /** @default 1_048_576 */
  readonly maxBytes?: number | undefined;
  readonly now?: (() => number) | undefined;
}

export interface ParsedJob {
  readonly document: JobDocument;
  /** What came in, before defaults and names were changed: what a signature covers */
  readonly wire: WireDocument;
  /** What is odd, but no reason to refuse */
  readonly warnings: readonly string[];
  /** 0 for a document that was converted; the original is in `document.original` */
  readonly protocolVersion: 0 | 1;
}

const maxClockSkewMs = 5 * 60_000;
const longTimeoutSeconds = 86_400;
const maxUnknownShown = 50;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Reads a job document from outside: version 1, or version 0 converted to it.
 *
 * @throws {LongshoreError} `INVALID_BODY` when it is not one JSON or YAML object within the limits, `MISSING_JOB_ID`,
 *   `UNSUPPORTED_PROTOCOL_VERSION`, `BAD_RUNTIME_MODE`, `VALIDATION_ERROR` with `details.issues`
 */
export function parseJobDocument(body: Uint8Array | string, options: ParseOptions): ParsedJob {
  const { strict = false, now = Date.now } = options;
  const nowMs = now();
  const wire = parseBody(body, options);
  const isV0 = wire["version"] === undefined && wire["protocol_version"] !== undefined;
  const unknown = unknownJobFields(wire).filter(({ path }) => !isV0 || !isV0Field(path));
  if (strict && unknown.length > 0) throw unknownFieldsError(unknown);
  checkHead(wire, isV0);
  const document = isV0 ? decodeV0(wire, nowMs) : decodeJobDocument(wire, nowMs);
  return {
    document,
    wire,
    warnings: [...unknownWarnings(unknown), ...oddities(document, nowMs)],
    protocolVersion: isV0 ? 0 : 1,
  };
}

function parseBody(
  body: Uint8Array | string,
  { contentType, maxBytes = 1_048_576 }: ParseOptions,
): Record<string, unknown> {
  const byteLength = typeof body === "string" ? Buffer.byteLength(body) : body.byteLength;
  if (byteLength > maxBytes) {
    throw new LongshoreError(
      "INVALID_BODY",
      `The document has ${byteLength} bytes; ${maxBytes} are allowed.`,
      { phase: "validation", details: { byteLength, maxBytes } },
    );
  }
  const value = parseText(toText(body), contentType);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalidBody("The document is not an object.");
  }
  assertSafe(value, maxBytes);
  return value as Record<string, unknown>;
}

function toText(body: Uint8Array | string): string {
  if (typeof body === "string") return body;
  try {
    return utf8.decode(body);
  } catch (error) {
    throw invalidBody("The document is not UTF-8.", error);
  }
}

function parseText(text: string, contentType: ParseOptions["contentType"]): unknown {
  try {
    return contentType === "application/json" ? JSON.parse(text) : parseYaml(text);
  } catch (error) {
    const format = contentType === "application/json" ? "JSON" : "YAML";
    const reason = error instanceof Error ? error.message : String(error);
    throw invalidBody(`The document is not ${format}: ${reason}`, error);
  }
}

function assertSafe(value: object, maxSize: number): void {
  const problem = jsonProblem(value, { maxSize });
  if (problem === undefined) return;
  const { kind, message } = problem;
  const path = toPath(problem.path);
  if (kind === "too_deep" || kind === "too_large") {
    throw invalidBody(`The document ${message}.`);
  }
  throw issuesError([{ path, code: kind, message }]);
}

function checkHead(wire: Record<string, unknown>, isV0: boolean): void {
  const { job_id: jobId, version, runtime } = wire;
  if (jobId === undefined || jobId === null || jobId === "") {
    throw new LongshoreError("MISSING_JOB_ID", "The document has no job_id.", {
      phase: "validation",
    });
  }
  if (isV0) return;
  if (typeof version === "string" && /^\d+(\.\d+)*$/.test(version) && !version.startsWith("1.")) {
    throw new LongshoreError(
      "UNSUPPORTED_PROTOCOL_VERSION",
      `The document has version ${version.slice(0, 20)}; this worker reads 1.x.`,
      { phase: "validation", details: { version: version.slice(0, 20), supported: ["1.0"] } },
    );
  }
  const mode = modeOf(runtime);
  const modes: readonly unknown[] = runtimeModes;
  if (mode !== undefined && !modes.includes(mode)) throw badRuntimeMode(mode, runtimeModes);
}

function modeOf(runtime: unknown): unknown {
  return typeof runtime === "object" && runtime !== null && "mode" in runtime
    ? runtime.mode
    : undefined;
}

/** Issues of the converted document are told by the names that the client wrote. */
function decodeV0(wire: Record<string, unknown>, nowMs: number): JobDocument {
  try {
    return decodeJobDocument(convertV0(wire), nowMs);
  } catch (error) {
    if (!isLongshoreError(error) || error.code !== "VALIDATION_ERROR") throw error;
    const issues = error.details?.["issues"] as readonly ValidationIssue[];
    throw issuesError(
      issues.map(({ path, code, message }) => ({ path: toV0Path(path), code, message })),
    );
  }
}

function unknownFieldsError(unknown: readonly UnknownField[]): LongshoreError {
  return issuesError(
    unknown.slice(0, maxUnknownShown).map(({ path, meant }) => ({
      path,
      code: "unrecognized_keys",
      message: `is not a known field${meant === undefined ? "" : `; did you mean ${meant}?`}`,
    })),
  );
}

function unknownWarnings(unknown: readonly UnknownField[]): readonly string[] {
  const warnings = unknown
    .slice(0, maxUnknownShown)
    .map(({ path, meant }) =>
      meant === undefined
        ? `${path} is not a known field; it is kept`
        : `${path} is not a known field and is left out; did you mean ${meant}?`,
    );
  const more = unknown.length - warnings.length;
  return more > 0 ? [...warnings, `${more} more fields are not known`] : warnings;
}

function oddities(document: JobDocument, nowMs: number): readonly string[] {
  const { version, createdAt, execution } = document;
  const warnings: string[] = [];
  if (version !== "1.0") warnings.push(`version ${version} is newer than 1.0`);
  if (Date.parse(createdAt) > nowMs + maxClockSkewMs) {
    warnings.push("created_at is more than 5 minutes in the future");
  }
  if ((execution.timeoutSeconds ?? 0) > longTimeoutSeconds) {
    warnings.push("execution.timeout_seconds is longer than a day");
  }
  return warnings;
}

function invalidBody(message: string, cause?: unknown): LongshoreError {
  return new LongshoreError("INVALID_BODY", message.slice(0, 500), { phase: "validation", cause });
}
