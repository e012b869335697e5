import { LongshoreError } from "@longshore/core";
import type { z } from "zod";

/** `VALIDATION_ERROR` that names every field which is wrong. */
export function invalidFields(error: z.ZodError): LongshoreError {
  const issues = error.issues.map(({ path, code, message }) => ({
    path: path.join("."),
    code,
    message,
  }));
  return new LongshoreError(
    "VALIDATION_ERROR",
    issues.map(({ path, message }) => `${path}: ${message}`).join("; "),
    { phase: "validation", details: { issues } },
  );
}
