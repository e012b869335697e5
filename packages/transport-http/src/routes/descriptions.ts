import type { ApiContent, ApiDescription, ApiParameter } from "../api-route.ts";

type Responses = ApiDescription["responses"];

export const jobIdParameter: ApiParameter = {
  name: "id",
  in: "path",
  description: "Job id",
  schema: { type: "string", pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$" },
};

export const waitParameter: ApiParameter = {
  name: "wait",
  in: "query",
  description: "How long to wait, e.g. 30s",
  schema: { type: "string", pattern: "^\\d{1,6}(ms|s|m)?$" },
};

export function json(schema: string | Readonly<Record<string, unknown>>): ApiContent {
  return { "application/json": { schema } };
}

/** One of several schemas. */
export function anyOf(...names: readonly string[]): Readonly<Record<string, unknown>> {
  return { anyOf: names.map((name) => ({ $ref: `#/components/schemas/${name}` })) };
}

const meanings: Readonly<Record<number, string>> = {
  400: "The request is not valid",
  401: "Credentials are missing or not good",
  403: "The policy says no",
  404: "There is no such thing",
  410: "The job ended so long ago that it was deleted",
  409: "The job is in a state that does not allow it",
  413: "The body is too large",
  415: "The content type is not read",
  416: "The range is not in the file",
  422: "The worker cannot do this",
  429: "Too much at a time; Retry-After says when to come again",
  503: "The worker takes no more work",
};

/** Error answers, which are all alike; every route may answer 401 and 403. */
export function errors(...statuses: readonly number[]): Responses {
  return Object.fromEntries(
    [401, 403, ...statuses].map((status) => [
      String(status),
      { description: meanings[status] ?? "Error", content: json("ErrorAnswer") },
    ]),
  );
}
