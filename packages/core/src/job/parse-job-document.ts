import { parseDocument } from "yaml";
import { LongshoreError } from "../errors/longshore-error.ts";
import { decodeJobDocument, jobDocumentPlan, type WireDocument } from "./codec.ts";
import { maxJsonDepth } from "./job-document-schema.ts";
import type { JobDocument } from "./job-document.ts";
import { unknownFields } from "./rename-plan.ts";
import { convertV0 } from "./v0-document.ts";
import { issuesError } from "./validation-error.ts";

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

/**
 * Reads a job document from outside: version 1, or version 0 converted to it.
 *
 * @throws {LongshoreError} `INVALID_BODY` when it is not one JSON or YAML object within the limits, `MISSING_JOB_ID`,
 *   `UNSUPPORTED_PROTOCOL_VERSION`, `VALIDATION_ERROR` with `details.issues`
 */
export function parseJobDocument(body: Uint8Array | string, options: ParseOptions): ParsedJob {
  const { strict = false, now = Date.now } = options;
  const wire = parseBody(body, options);
  const isV0 = !("version" in wire) && "protocol_version" in wire;
  const v1 = isV0 ? convertV0(wire) : wire;
  checkHead(v1);
  const document = decodeJobDocument({
    ...v1,
    created_at: v1["created_at"] ?? new Date(now()).toISOString(),
  });
  const unknown = unknownFields(wire, jobDocumentPlan());
  if (strict && !isV0 && unknown.length > 0) {
    throw issuesError(
      unknown.map((path) => ({ path, code: "unrecognized_keys", message: "is not a known field" })),
    );
  }
  return {
    document: withPayloadDefaults(document),
    wire,
    warnings: [
      ...(isV0 ? [] : unknown.map((path) => `${path} is not a known field; it is kept`)),
      ...oddities(document, now()),
    ],
    protocolVersion: isV0 ? 0 : 1,
  };
}

/** `payload.type` and `payload.data` as they count when they are absent. */
export function withPayloadDefaults(document: JobDocument): JobDocument {
  const { operation, payload } = document;
  return {
    ...document,
    payload: {
      ...payload,
      type: payload.type ?? `${operation}.v1`,
      data: payload.data === undefined ? {} : payload.data,
    },
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
  if (isDeeperThan(value, maxJsonDepth)) {
    throw invalidBody(`The document is nested deeper than ${maxJsonDepth} levels.`);
  }
  return value as Record<string, unknown>;
}

function toText(body: Uint8Array | string): string {
  if (typeof body === "string") return body;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
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

function parseYaml(text: string): unknown {
  const yaml = parseDocument(text, { schema: "core", uniqueKeys: true, customTags: [] });
  const [problem] = [...yaml.errors, ...yaml.warnings];
  if (problem !== undefined) throw problem;
  // Each alias may be expanded a few times; a "billion laughs" document is refused.
  return yaml.toJS({ maxAliasCount: 100 });
}

function checkHead(wire: Record<string, unknown>): void {
  if (wire["job_id"] === undefined || wire["job_id"] === "") {
    throw new LongshoreError("MISSING_JOB_ID", "The document has no job_id.", {
      phase: "validation",
    });
  }
  const { version } = wire;
  if (typeof version === "string" && /^\d+(\.\d+)*$/.test(version) && !version.startsWith("1.")) {
    throw new LongshoreError(
      "UNSUPPORTED_PROTOCOL_VERSION",
      `The document has version ${version.slice(0, 20)}; this worker reads 1.x.`,
      { phase: "validation", details: { version, supported: ["1.0"] } },
    );
  }
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

/** Whether the value nests deeper than `depth`; never looks further than that. */
function isDeeperThan(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (depth === 0) return true;
  return Object.values(value).some((item) => isDeeperThan(item, depth - 1));
}

function invalidBody(message: string, cause?: unknown): LongshoreError {
  return new LongshoreError("INVALID_BODY", message.slice(0, 500), { phase: "validation", cause });
}
