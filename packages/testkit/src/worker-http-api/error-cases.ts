import { expect } from "vitest";
import type { DeclareApiCase } from "./api-case.ts";

/** What is refused, and how. */
export function declareErrors(check: DeclareApiCase): void {
  const job = (fields: Readonly<Record<string, unknown>>) => ({ version: "1.0", ...fields });
  const refusals: readonly (readonly [
    title: string,
    body: (id: string, echo: string) => unknown,
    status: number,
    code: string,
  ])[] = [
    ["no JSON", () => "{", 400, "INVALID_BODY"],
    ["no object", () => "[]", 400, "INVALID_BODY"],
    ["no bytes", () => "", 400, "INVALID_BODY"],
    ["no job id", (_, operation) => job({ operation }), 400, "MISSING_JOB_ID"],
    [
      "an id with a path",
      (_, operation) => job({ job_id: "../x", operation }),
      400,
      "VALIDATION_ERROR",
    ],
    ["no operation", (job_id) => job({ job_id }), 400, "VALIDATION_ERROR"],
    [
      "a higher version",
      (job_id, operation) => ({ version: "2.0", job_id, operation }),
      400,
      "UNSUPPORTED_PROTOCOL_VERSION",
    ],
    [
      "an unknown mode",
      (job_id, operation) => job({ job_id, operation, runtime: { mode: "magic" } }),
      400,
      "BAD_RUNTIME_MODE",
    ],
    [
      "an operation nobody has",
      (job_id) => job({ job_id, operation: "nobody.has-this" }),
      422,
      "HANDLER_NOT_FOUND",
    ],
    [
      "a deadline in the past",
      (job_id, operation) =>
        job({ job_id, operation, execution: { deadline: "2020-01-01T00:00:00Z" } }),
      422,
      "DEADLINE_EXCEEDED",
    ],
    [
      "a key of the prototype",
      (job_id, operation) =>
        `{"version":"1.0","job_id":"${job_id}","operation":"${operation}","__proto__":{}}`,
      400,
      "VALIDATION_ERROR",
    ],
    [
      "version 0 without a runtime",
      (job_id) => ({ protocol_version: 1, job_id, task: { type: "t" } }),
      400,
      "VALIDATION_ERROR",
    ],
    [
      "another version 0",
      (job_id) => ({
        protocol_version: 7,
        job_id,
        task: { type: "t" },
        runtime: { mode: "image" },
      }),
      400,
      "UNSUPPORTED_PROTOCOL_VERSION",
    ],
  ];
  for (const [title, body, status, code] of refusals) {
    check(`refuses a job with ${title}`, async ({ api, operations, newId }) => {
      const id = newId();
      const answer = await api.call("POST", "/jobs", { body: body(id, operations.echo) });
      expect(answer.status, answer.text).toBe(status);
      expect(answer.json).toMatchObject({
        accepted: false,
        state: "rejected",
        error: {
          code,
          message: expect.any(String),
          recoverable: expect.any(Boolean),
          retry_recommended: expect.any(Boolean),
        },
        request_id: answer.headers.get("x-request-id"),
      });
      expect((await api.call("GET", `/jobs/${id}`)).status).toBe(404);
    });
  }

  check("refuses an id that is taken", async ({ api, operations, submit }) => {
    const jobId = await submit(operations.echo);
    const { status, json } = await api.call("POST", "/jobs", {
      body: job({ job_id: jobId, operation: operations.echo }),
    });
    expect(status).toBe(409);
    expect(json).toMatchObject({ job_id: jobId, error: { code: "JOB_ID_ALREADY_EXISTS" } });
  });

  check(
    "refuses a body that is too large, or of another type",
    async ({ api, operations, newId }) => {
      const large = await api.call("POST", "/jobs", {
        body: job({ job_id: newId(), operation: operations.echo, pad: "x".repeat(1_100_000) }),
      });
      expect(large.status).toBe(413);
      expect(large.json).toMatchObject({ error: { code: "INVALID_BODY" } });
      for (const type of [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
      ]) {
        const other = await api.call("POST", "/jobs", {
          headers: { "content-type": type },
          body: JSON.stringify(job({ job_id: newId(), operation: operations.echo })),
        });
        expect(other.status, type).toBe(415);
      }
    },
  );

  check("answers 405 with Allow, and 404", async ({ api }) => {
    const put = await api.call("PUT", "/jobs", { body: {} });
    expect(put.status).toBe(405);
    expect(put.headers.get("allow")).toContain("POST");
    const post = await api.call("POST", "/info", { body: {} });
    expect(post.status).toBe(405);
    expect(post.headers.get("allow")).toContain("GET");
    expect((await api.call("GET", "/nowhere")).status).toBe(404);
    expect((await api.call("GET", "/api/v2/info")).status).toBe(404);
  });

  check("does not know a job that is not there", async ({ api, newId }) => {
    const jobId = newId();
    for (const path of ["", "/result", "/logs", "/events", "/artifacts", "/artifacts/a"]) {
      const { status, json } = await api.call("GET", `/jobs/${jobId}${path}`);
      expect(status, path).toBe(404);
      expect(json).toMatchObject({
        job_id: jobId,
        state: "not_found",
        error: { code: "NOT_FOUND" },
      });
    }
    expect((await api.call("DELETE", `/jobs/${jobId}`)).status).toBe(404);
    expect((await api.call("POST", `/jobs/${jobId}/cancel`)).status).toBe(404);
    expect((await api.call("POST", `/jobs/${jobId}/retry`)).status).toBe(404);
  });

  check("reads an id's percent-encoding once", async ({ api, operations, submit }) => {
    const jobId = await submit(operations.echo);
    const encoded = [...Buffer.from(jobId)].map((byte) => `%${byte.toString(16)}`).join("");
    expect((await api.call("GET", `/jobs/${encoded}`)).status).toBe(200);
    const twice = encoded.replaceAll("%", "%25");
    expect((await api.call("GET", `/jobs/${twice}`)).status).toBe(400);
    expect((await api.call("GET", "/jobs/%zz")).status).toBe(400);
    expect((await api.call("GET", "/jobs/a%2fb")).status).toBe(400);
  });

  check("refuses parameters that make no sense", async ({ api, operations, submit }) => {
    const jobId = await submit(operations.echo);
    for (const path of [
      "/jobs?limit=0",
      "/jobs?limit=501",
      "/jobs?state=asleep",
      "/jobs?cursor=nonsense",
      "/jobs?order=random",
      "/jobs?label=nolabel",
      `/jobs/${jobId}?wait=soon`,
      `/jobs/${jobId}?wait=9999s`,
      `/jobs/${jobId}/logs?tail=-1`,
      `/jobs/${jobId}/logs?stream=stdin`,
      `/jobs/${jobId}/events?last_event_id=first`,
    ]) {
      const { status, json } = await api.call("GET", path);
      expect(status, path).toBe(400);
      expect(json).toMatchObject({ error: { code: "VALIDATION_ERROR" } });
    }
  });

  check("gives back the request's id", async ({ api }) => {
    const { headers } = await api.call("GET", "/live", { headers: { "x-request-id": "abc-1" } });
    expect(headers.get("x-request-id")).toBe("abc-1");
    const odd = await api.call("GET", "/live", { headers: { "x-request-id": "a b<script>" } });
    expect(odd.headers.get("x-request-id")).not.toContain("<");
  });
}
