import type { z } from "zod";
import { LongshoreError } from "../errors/longshore-error.ts";

/** One thing that is wrong with a document. */
export interface ValidationIssue {
  /** Where, in wire names: `execution.priority`, `history[2].error` */
  readonly path: string;
  readonly code: string;
  /** What was expected */
  readonly message: string;
}

const maxIssues = 50;
const maxPathLength = 300;

/** `VALIDATION_ERROR` with every issue in `details.issues`; the message names the first. */
export function validationError(error: z.ZodError): LongshoreError {
  return issuesError(zodIssues(error));
}

/** The issues of a schema's error. An issue of a map's key says what is wrong with the key. */
export function zodIssues(
  error: z.ZodError,
  root: readonly PropertyKey[] = [],
): readonly ValidationIssue[] {
  return error.issues.slice(0, maxIssues + 1).map((issue) => ({
    path: toPath([...root, ...issue.path]),
    code: issue.code,
    message:
      issue.code === "invalid_key" || issue.code === "invalid_element"
        ? (issue.issues[0]?.message ?? issue.message)
        : issue.message,
  }));
}

export function issuesError(issues: readonly ValidationIssue[]): LongshoreError {
  const [first] = issues;
  const where = first === undefined || first.path === "" ? "The document" : first.path;
  const more = issues.length > 1 ? " (and more)" : "";
  return new LongshoreError(
    "VALIDATION_ERROR",
    `${where}: ${first?.message ?? "is not valid"}${more}`,
    { phase: "validation", details: { issues: issues.slice(0, maxIssues) } },
  );
}

/** `BAD_RUNTIME_MODE`, for a mode that does not exist. */
export function badRuntimeMode(mode: unknown, modes: readonly string[]): LongshoreError {
  const message = `expected one of ${modes.join(", ")}`;
  return new LongshoreError("BAD_RUNTIME_MODE", `runtime.mode: ${message}`, {
    phase: "validation",
    details: {
      mode: String(mode).slice(0, 100),
      issues: [{ path: "runtime.mode", code: "invalid_value", message }],
    },
  });
}

/** A path of keys and places as it is written in an issue. Keys of clients may be long; what is shown is not. */
export function toPath(path: readonly PropertyKey[]): string {
  const text = path
    .map((part, index) => {
      if (typeof part === "number") return `[${part}]`;
      return index === 0 ? String(part) : `.${String(part)}`;
    })
    .join("");
  return text.length > maxPathLength ? `${text.slice(0, maxPathLength)}…` : text;
}
