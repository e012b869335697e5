import type { ApiAnswer } from "./api-route.ts";

/** An answer of JSON as `{success, data}`, for clients that expect that below `/api/v1`; others as they are. */
export function successView(answer: ApiAnswer): ApiAnswer {
  const isJson = answer.headers?.["content-type"]?.startsWith("application/json") === true;
  if (!isJson || typeof answer.body !== "string") return answer;
  const body =
    answer.status < 400
      ? `{"success":true,"data":${answer.body}}`
      : `{"success":false,${answer.body.slice(1)}`;
  return { ...answer, body };
}
