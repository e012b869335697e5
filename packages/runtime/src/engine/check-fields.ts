import { LongshoreError } from "@longshore/core";

/** Bytes that all labels, or all annotations, of one thing may have together. */
const maxMapBytes = 262_144;
/** Characters that a configuration may have as JSON. */
const maxConfigLength = 1_048_576;

export function invalid(field: string, message: string): LongshoreError {
  return new LongshoreError("VALIDATION_ERROR", `${field}: ${message}`, { details: { field } });
}

/** A copy that nobody outside can change, of bounded size. */
export function ownCopy<T extends object>(field: string, value: T): T {
  if (typeof value !== "object" || value === null) throw invalid(field, "must be an object.");
  let copy: T;
  try {
    copy = structuredClone(value);
  } catch (error) {
    throw new LongshoreError("VALIDATION_ERROR", `${field}: must be plain data.`, {
      cause: error,
      details: { field },
    });
  }
  if (JSON.stringify(copy, bytesByLength).length > maxConfigLength) {
    throw invalid(field, `must have at most ${maxConfigLength} characters as JSON.`);
  }
  return freeze(copy);
}

/** Text without NUL, of a length that fits. */
export function checkText(field: string, value: unknown, maxLength = 4_096): string {
  if (typeof value !== "string" || value === "") throw invalid(field, "must be a text, not empty.");
  if (value.length > maxLength) throw invalid(field, `must have at most ${maxLength} characters.`);
  if (value.includes("\0")) throw invalid(field, "must not have NUL characters.");
  return value;
}

export function checkOptionalText(field: string, value: unknown): void {
  if (value !== undefined && value !== "") checkText(field, value);
}

/** An absolute path of this machine, or of a container. */
export function checkPath(field: string, value: unknown): void {
  if (!checkText(field, value).startsWith("/")) throw invalid(field, "must be an absolute path.");
}

export function checkCount(field: string, value: unknown): void {
  if (value === undefined) return;
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > 2 ** 32 - 1) {
    throw invalid(field, "must be a whole number from 0 to 4294967295.");
  }
}

/** Labels or annotations. */
export function checkMap(field: string, map: Readonly<Record<string, string>> | undefined): void {
  if (map === undefined) return;
  if (typeof map !== "object" || map === null || Array.isArray(map)) {
    throw invalid(field, "must be an object of texts.");
  }
  let bytes = 0;
  for (const [key, value] of Object.entries(map)) {
    if (typeof value !== "string")
      throw invalid(`${field}.${key.slice(0, 100)}`, "must be a text.");
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (bytes > maxMapBytes) {
    throw invalid(field, `must have at most ${maxMapBytes} bytes together, and has ${bytes}.`);
  }
}

function bytesByLength(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? "x".repeat(value.length) : value;
}

function freeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  for (const inner of Object.values(value)) freeze(inner);
  return Object.freeze(value);
}
