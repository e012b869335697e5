import { LongshoreError } from "../errors/longshore-error.ts";
import type { JobError } from "../errors/job-error.ts";
import { isoTime } from "../iso-time.ts";
import type { z } from "zod";
import { jobDocumentSchema } from "./job-document-schema.ts";
import type { JobDocument } from "./job-document.ts";
import type { JobEvent } from "./job-event.ts";
import { jobErrorSchema, jobEventSchema, jobResultSchema } from "./job-result-schema.ts";
import type { Artifact, JobResult } from "./job-result.ts";
import { jsonProblem } from "./json-problem.ts";
import { rename, renamePlan, unknownFields } from "./rename-plan.ts";
import type { RenamePlan, UnknownField } from "./rename-plan.ts";
import { toPath, validationError, zodIssues, type ValidationIssue } from "./validation-error.ts";

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
 * @param nowMs time of creation of a document that names none, in ms since the epoch. @default the clock
 * @throws {LongshoreError} `VALIDATION_ERROR`
 */
export function decodeJobDocument(wire: unknown, nowMs?: number): JobDocument {
  const decoded = decode(wire, jobDocumentSchema, documentPlan) as unknown as JobDocument;
  const { operation, createdAt, payload } = decoded;
  return {
    ...decoded,
    createdAt: createdAt ?? isoTime(nowMs ?? Date.now()),
    payload: {
      ...payload,
      type: payload.type ?? `${operation}.v1`,
      data: payload.data === undefined ? {} : payload.data,
    },
  };
}

/** @throws {LongshoreError} `VALIDATION_ERROR` */
export function decodeJobResult(wire: unknown): JobResult {
  const {
    completedAt: _completed,
    failedAt: _failed,
    ...decoded
  } = decode(wire, jobResultSchema, resultPlan);
  const result = decoded as unknown as JobResult;
  const artifacts: readonly (Artifact | string)[] | undefined = result.outputs?.artifacts;
  if (artifacts?.some((artifact) => typeof artifact === "string") !== true) return result;
  return {
    ...result,
    outputs: {
      ...result.outputs,
      artifacts: artifacts.map((artifact) =>
        typeof artifact === "string" ? { path: artifact, size: 0, sha256: "" } : artifact,
      ),
    },
  };
}

/** @throws {LongshoreError} `VALIDATION_ERROR` */
export function decodeJobEvent(wire: unknown): JobEvent {
  return decode(wire, jobEventSchema, eventPlan) as unknown as JobEvent;
}

/** @throws {LongshoreError} `VALIDATION_ERROR` */
export function decodeJobError(wire: unknown): JobError {
  return decode(wire, jobErrorSchema, errorPlan) as unknown as JobError;
}

/** What became of one field of a job document: its checked value, or what is wrong with it. */
export type CheckedField =
  | { readonly value: unknown; readonly issues?: undefined }
  | { readonly issues: readonly ValidationIssue[] };

/** Checks one top-level field under its API name, and fills in its defaults. A field nobody knows may hold any JSON. */
export function checkJobField(apiName: string, value: unknown): CheckedField {
  const { name, plan } = documentPlan.toWire.get(apiName) ?? { name: apiName, plan: undefined };
  const wire = plan === undefined ? value : rename(value, plan, "toWire");
  const problem = jsonProblem(wire);
  if (problem !== undefined) {
    const { kind, path, message } = problem;
    return { issues: [{ path: toPath([name, ...path]), code: kind, message }] };
  }
  const schema: z.ZodType | undefined = jobDocumentSchema.shape[name];
  if (schema === undefined) return { value };
  const parsed = schema.safeParse(wire);
  if (!parsed.success) return { issues: zodIssues(parsed.error, [name]) };
  return { value: plan === undefined ? parsed.data : rename(parsed.data, plan, "toApi") };
}

/** The fields of a job's wire document that the schema does not know. */
export function unknownJobFields(wire: WireDocument): readonly UnknownField[] {
  return unknownFields(wire, documentPlan);
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
