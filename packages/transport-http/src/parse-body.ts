import { LongshoreError } from "@longshore/core";
import type { z } from "zod";
import type { ApiRequest } from "./api-route.ts";
import { HttpError } from "./http-error.ts";
import { invalidFields } from "./invalid-fields.ts";

/**
 * A JSON body that may be left out: then it is `{}`.
 *
 * @throws {LongshoreError} `INVALID_BODY`, `VALIDATION_ERROR` with `details.issues`
 */
export async function parseBody<Body>(schema: z.ZodType<Body>, request: ApiRequest): Promise<Body> {
  const parsed = schema.safeParse((await readJson(request)) ?? {});
  if (parsed.success) return parsed.data;
  throw invalidFields(parsed.error);
}

/**
 * The body as JSON; `undefined` when there is none.
 *
 * @throws {LongshoreError} `INVALID_BODY`
 */
export async function readJson(request: ApiRequest): Promise<unknown> {
  const body = await request.body();
  if (body.byteLength === 0) return undefined;
  const [type = ""] = (request.header("content-type") ?? "").toLowerCase().split(";", 1);
  if (type.trim() !== "application/json") {
    throw new HttpError("INVALID_BODY", "The body must be application/json.", { status: 415 });
  }
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body)) as unknown;
  } catch (error) {
    throw new LongshoreError("INVALID_BODY", "The body is not JSON.", { cause: error });
  }
}
