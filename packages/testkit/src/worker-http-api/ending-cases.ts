import { expect } from "vitest";
import type { DeclareApiCase } from "./api-case.ts";

/** Cancelling. */
export function declareEndings(check: DeclareApiCase): void {
  check("DELETE /jobs/{id} ends a waiting job at once", async ({ api, operations, submit }) => {
    const notBefore = new Date(Date.now() + 3_600_000).toISOString();
    const jobId = await submit(operations.echo, { execution: { not_before: notBefore } });
    const { status, json } = await api.call("DELETE", `/jobs/${jobId}`);
    expect(status).toBe(200);
    expect(json).toMatchObject({ job_id: jobId, state: "cancelled" });
    expect((await api.call("GET", `/jobs/${jobId}/result`)).json).toMatchObject({
      status: "cancelled",
    });
  });

  check("cancelling a running job really ends it (F6)", async ({ api, operations, submit }) => {
    const jobId = await submit(operations.endless);
    await api.stream(`/jobs/${jobId}/events`, { count: 3 });
    const { status, json } = await api.call("POST", `/jobs/${jobId}/cancel`);
    expect(status).toBe(202);
    expect(json).toMatchObject({ job_id: jobId, state: "cancelling", note: expect.any(String) });
    const result = await api.call("GET", `/jobs/${jobId}/result?wait=30s`);
    expect(result.json).toMatchObject({ status: "cancelled", error: { code: "CANCELLED" } });
  });

  check(
    "cancelling a job that has ended tells its end, and changes nothing (F6)",
    async ({ api, operations, submit }) => {
      const jobId = await submit(operations.echo);
      const before = await api.call("GET", `/jobs/${jobId}/result?wait=30s`);
      for (const [method, path] of [
        ["DELETE", ""],
        ["DELETE", ""],
        ["POST", "/cancel"],
      ] as const) {
        const { status, json } = await api.call(method, `/jobs/${jobId}${path}`);
        expect(status).toBe(200);
        expect(json).toMatchObject({ state: "completed" });
        expect(json).not.toHaveProperty("note");
      }
      const after = await api.call("GET", `/jobs/${jobId}/result`);
      expect(after.json).toEqual(before.json);
    },
  );

  check(
    "POST /jobs/{id}/cancel refuses a body that is not one",
    async ({ api, operations, submit }) => {
      const jobId = await submit(operations.endless);
      const cancel = (body: unknown, headers = {}) =>
        api.call("POST", `/jobs/${jobId}/cancel`, { body, headers });
      expect((await cancel("{")).json).toMatchObject({ error: { code: "INVALID_BODY" } });
      expect((await cancel({ reason: 7 })).status).toBe(400);
      expect((await cancel({ force: "yes" })).status).toBe(400);
      expect((await cancel("x", { "content-type": "text/plain" })).status).toBe(415);
      expect((await api.call("GET", `/jobs/${jobId}`)).json["state"]).not.toMatch(/^cancel/);
      expect([200, 202]).toContain((await api.call("DELETE", `/jobs/${jobId}`)).status);
    },
  );

  check(
    "a job that is not cancellable is 409, unless by force",
    async ({ api, operations, submit }) => {
      const jobId = await submit(operations.endless, { execution: { cancellable: false } });
      await api.stream(`/jobs/${jobId}/events`, { count: 3 });
      const { status, json } = await api.call("DELETE", `/jobs/${jobId}`);
      expect(status).toBe(409);
      expect(json).toMatchObject({ error: { code: "NOT_CANCELLABLE" } });
      const forced = await api.call("POST", `/jobs/${jobId}/cancel`, { body: { force: true } });
      expect(forced.status).toBe(202);
      await api.call("GET", `/jobs/${jobId}/result?wait=30s`);
    },
  );
}
