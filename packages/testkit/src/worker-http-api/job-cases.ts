import { expect } from "vitest";
import type { DeclareApiCase } from "./api-case.ts";

/** Looking up, results, and trying again. */
export function declareJobs(check: DeclareApiCase): void {
  check("GET /jobs/{id} waits for the state to change", async ({ api, operations, submit }) => {
    const jobId = await submit(operations.endless);
    let etag = "";
    let state = "";
    while (state !== "running") {
      const wait = etag === "" ? "" : "?wait=20s";
      const { json, headers } = await api.call("GET", `/jobs/${jobId}${wait}`, {
        ...(etag !== "" && { headers: { "if-none-match": etag } }),
      });
      state = String(json["state"]);
      etag = headers.get("etag") ?? "";
      expect(["queued", "assigned", "running"]).toContain(state);
    }
    const waiting = api.call("GET", `/jobs/${jobId}?wait=30s`, {
      headers: { "if-none-match": etag },
    });
    await api.call("POST", `/jobs/${jobId}/cancel`, { body: { reason: "enough" } });
    expect((await waiting).json["state"]).toMatch(/^cancel/);
    expect((await api.call("GET", `/jobs/${jobId}/result?wait=30s`)).json).toMatchObject({
      status: "cancelled",
      error: { code: "CANCELLED", message: "enough" },
    });
  });

  check("GET /jobs/{id}/result is 409 while the job runs", async ({ api, operations, submit }) => {
    const jobId = await submit(operations.endless);
    const { status, json } = await api.call("GET", `/jobs/${jobId}/result`);
    expect(status).toBe(409);
    expect(json).toMatchObject({
      job_id: jobId,
      state: expect.stringMatching(/^(queued|assigned|running)$/),
      error: { code: "JOB_NOT_FINISHED" },
    });
    await api.call("DELETE", `/jobs/${jobId}`);
  });

  check("a job that failed is a result with its error", async ({ api, operations, submit }) => {
    const jobId = await submit(operations.failing);
    const { status, json } = await api.call("GET", `/jobs/${jobId}/result?wait=30s`);
    expect(status).toBe(200);
    expect(json).toMatchObject({
      status: "failed",
      error: { code: expect.any(String), recoverable: expect.any(Boolean) },
    });
  });

  check("POST /jobs/{id}/retry makes a new job", async ({ api, operations, submit }) => {
    const jobId = await submit(operations.failing);
    const runningId = await submit(operations.endless);
    const early = await api.call("POST", `/jobs/${runningId}/retry`);
    expect(early.status).toBe(409);
    await api.call("GET", `/jobs/${jobId}/result?wait=30s`);
    const { status, json } = await api.call("POST", `/jobs/${jobId}/retry`, { body: {} });
    expect(status).toBe(202);
    expect(json).toMatchObject({ accepted: true, retry_of: jobId });
    const retryId = String(json["job_id"]);
    expect(retryId).not.toBe(jobId);
    expect((await api.call("GET", `/jobs/${retryId}`)).json).toMatchObject({ retry_of: jobId });
    const onwards = await api.call("POST", `/jobs/${jobId}/retry`, {
      body: { reset_attempts: false },
    });
    expect(onwards.status).toBe(202);
    const again = await api.call("GET", `/jobs/${String(onwards.json["job_id"])}`);
    expect(again.json).toMatchObject({ attempt: 2, max_attempts: 2 });
    const odd = await api.call("POST", `/jobs/${jobId}/retry`, { body: { reset_attempts: "no" } });
    expect(odd.status).toBe(400);
    await api.call("DELETE", `/jobs/${runningId}`);
  });
}
