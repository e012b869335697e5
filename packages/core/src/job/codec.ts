import { LongshoreError } from "../errors/longshore-error.ts";
import type { JobError } from "../errors/job-error.ts";
import type { z } from "zod";
import { jobDocumentSchema } from "./job-document-schema.ts";
import type { JobDocument } from "./job-document.ts";
import type { JobEvent } from "./job-event.ts";
import { jobErrorSchema, jobEventSchema, jobResultSchema } from "./job-result-schema.ts";
import type { JobResult } from "./job-result.ts";
import { rename, renamePlan, type RenamePlan } from "./rename-plan.ts";
import { validationError } from "./validation-error.ts";

/** A document as it goes over a wire: plain JSON with names in snake_case. */
export type WireDocument = Record<string, unknown>;

const documentPlan = renamePlan(jobDocumentSchema);
const resultPlan = renamePlan(jobResultSchema);
const eventPlan = renamePlan(jobEventSchema);
const errorPlan = renamePlan(jobErrorSchema);

export function encodeJobDocument(document: JobDocument): WireDocument {
  return toWire(document, documentPlan);
}

/** Adds `completed_at` or `failed_at` besides `finished_at`, for readers that look for those. */
export function encodeJobResult(result: JobResult): WireDocument {
  const wire = toWire(result, resultPlan);
  wire[result.status === "completed" ? "completed_at" : "failed_at"] = result.finishedAt;
  return wire;
}

export function encodeJobEvent(event: JobEvent): WireDocument {
  return toWire(event, eventPlan);
}

export function encodeJobError(error: JobError): WireDocument {
  return toWire(error, errorPlan);
}

/**
 * Checks a wire document that has passed no check yet and fills in defaults. `parseJobDocument` takes bytes, versions
 * and warnings into account; use that for anything from outside.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`
 */
export function decodeJobDocument(wire: unknown): JobDocument {
  return decode(wire, jobDocumentSchema, documentPlan) as unknown as JobDocument;
}

/** @throws {LongshoreError} `VALIDATION_ERROR` */
export function decodeJobResult(wire: unknown): JobResult {
  const result = decode(wire, jobResultSchema, resultPlan);
  delete result["completed_at"];
  delete result["failed_at"];
  return result as unknown as JobResult;
}

/** @throws {LongshoreError} `VALIDATION_ERROR` */
export function decodeJobEvent(wire: unknown): JobEvent {
  return decode(wire, jobEventSchema, eventPlan) as unknown as JobEvent;
}

/** @throws {LongshoreError} `VALIDATION_ERROR` */
export function decodeJobError(wire: unknown): JobError {
  return decode(wire, jobErrorSchema, errorPlan) as unknown as JobError;
}

/** The plan of the job document, to tell known fields from unknown ones. */
export function jobDocumentPlan(): RenamePlan {
  return documentPlan;
}

function decode(wire: unknown, schema: z.ZodObject, plan: RenamePlan): Record<string, unknown> {
  const parsed = schema.safeParse(wire);
  if (!parsed.success) throw validationError(parsed.error);
  return renamedObject(parsed.data, plan, "toApi");
}

function toWire(value: object, plan: RenamePlan): WireDocument {
  return renamedObject(value, plan, "toWire");
}

function renamedObject(
  value: object,
  plan: RenamePlan,
  direction: keyof RenamePlan,
): Record<string, unknown> {
  const renamed = rename(value, plan, direction);
  if (typeof renamed === "object" && renamed !== null) return Object.assign(renamed);
  throw new LongshoreError("SERIALIZATION_ERROR", "A document must be an object.");
}
