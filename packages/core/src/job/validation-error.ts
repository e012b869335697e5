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

/** `VALIDATION_ERROR` with every issue in `details.issues`; the message names the first. */
export function validationError(error: z.ZodError): LongshoreError {
  return issuesError(
    error.issues.map(({ path, code, message }) => ({ path: toPath(path), code, message })),
  );
}

export function issuesError(issues: readonly ValidationIssue[]): LongshoreError {
  const [first] = issues;
  const where = first === undefined || first.path === "" ? "The document" : first.path;
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : "";
  return new LongshoreError(
    "VALIDATION_ERROR",
    `${where}: ${first?.message ?? "is not valid"}${more}`,
    { phase: "validation", details: { issues: issues.slice(0, maxIssues) } },
  );
}

function toPath(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) => {
      if (typeof part === "number") return `[${part}]`;
      return index === 0 ? String(part) : `.${String(part)}`;
    })
    .join("");
}
