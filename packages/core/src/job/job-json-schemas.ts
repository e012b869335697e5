import { z } from "zod";
import { jobDocumentSchema } from "./job-document-schema.ts";
import { jobErrorSchema, jobEventSchema, jobResultSchema } from "./job-result-schema.ts";

/** JSON Schema (2020-12) of each document of the job protocol, by name. The same schemas check the documents. */
export const jobJsonSchemas: Readonly<
  Record<"job" | "result" | "event" | "error", () => Record<string, unknown>>
> = {
  job: () => toJsonSchema(jobDocumentSchema, "job"),
  result: () => toJsonSchema(jobResultSchema, "result"),
  event: () => toJsonSchema(jobEventSchema, "event"),
  error: () => toJsonSchema(jobErrorSchema, "error"),
};

function toJsonSchema(schema: z.ZodObject, name: string): Record<string, unknown> {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: "input" });
  return { $schema, $id: `urn:longshore:schema:${name}:v1`, ...rest };
}
