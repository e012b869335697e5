import { expect } from "vitest";
import type { DeclareApiCase } from "./api-case.ts";

/** Submitting. */
export function declareSubmits(check: DeclareApiCase): void {
  check(
    "POST /jobs takes a job in, whose result is then there (F14)",
    async ({ api, operations, newId }) => {
      const jobId = newId();
      const { status, json, headers } = await api.call("POST", "/jobs", {
        body: {
          version: "1.0",
          job_id: jobId,
          operation: operations.echo,
          payload: { data: { n: 7 } },
        },
      });
      expect(status).toBe(202);
      expect(json).toMatchObject({ accepted: true, job_id: jobId, state: "queued" });
      expect(headers.get("location")).toBe(`/jobs/${jobId}`);
      expect(json["location"]).toBe(`/jobs/${jobId}`);
      const result = await api.call("GET", `/jobs/${jobId}/result?wait=30s`);
      expect(result.status).toBe(200);
      expect(result.json).toMatchObject({
        version: "1.0",
        job_id: jobId,
        status: "completed",
        data: { echo: { n: 7 } },
        execution_summary: { attempt: 1 },
      });
    },
  );

  check("POST /jobs takes YAML", async ({ api, operations, newId }) => {
    const jobId = newId();
    const { status } = await api.call("POST", "/api/v1/jobs", {
      headers: { "content-type": "application/yaml" },
      body: `version: "1.0"\njob_id: ${jobId}\noperation: ${operations.echo}\n`,
    });
    expect(status).toBe(202);
  });

  check("POST /jobs refuses YAML that is none, or does too much", async ({ api, newId }) => {
    const bomb = `a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\n${"c: [*b,*b]\n".repeat(2)}`;
    for (const body of [
      "a: [",
      "- 1",
      "!!js/function x",
      "a: 1\na: 2",
      bomb,
      `job_id: ${newId()}`,
    ]) {
      const { status } = await api.call("POST", "/jobs", {
        headers: { "content-type": "application/yaml" },
        body,
      });
      expect(status, body).toBe(400);
    }
  });

  check(
    "POST /jobs?wait answers 202 when the job takes longer",
    async ({ api, operations, newId }) => {
      const jobId = newId();
      const { status, json } = await api.call("POST", "/jobs?wait=50ms", {
        body: { version: "1.0", job_id: jobId, operation: operations.endless },
      });
      expect(status).toBe(202);
      expect(json).toMatchObject({ accepted: true, job_id: jobId });
      expect(json["state"]).toMatch(/^(queued|assigned|running)$/);
      const result = await api.call("GET", `/jobs/${jobId}/result?wait=50ms`);
      expect(result.status).toBe(409);
      await api.call("DELETE", `/jobs/${jobId}`);
    },
  );

  check(
    "POST /jobs?strict refuses fields that are not known",
    async ({ api, operations, newId }) => {
      const body = { version: "1.0", job_id: newId(), operation: operations.echo, novel_field: 1 };
      const { status, json } = await api.call("POST", "/jobs?strict=true", { body });
      expect(status).toBe(400);
      expect(json).toMatchObject({
        error: { code: "VALIDATION_ERROR", details: { issues: [{ path: "novel_field" }] } },
      });
    },
  );

  check("POST /jobs?wait answers with the result", async ({ api, operations, newId }) => {
    const jobId = newId();
    const { status, json } = await api.call("POST", "/jobs?wait=30s", {
      body: { version: "1.0", job_id: jobId, operation: operations.echo, payload: { data: 1 } },
    });
    expect(status).toBe(200);
    expect(json).toMatchObject({ job_id: jobId, status: "completed", data: { echo: 1 } });
  });

  check("POST /jobs?validate_only stores nothing", async ({ api, operations, newId }) => {
    const jobId = newId();
    const { status, json } = await api.call("POST", "/jobs?validate_only=true", {
      body: { version: "1.0", job_id: jobId, operation: operations.echo, novel_field: 1 },
    });
    expect(status).toBe(200);
    expect(json).toMatchObject({
      job_id: jobId,
      warnings: [expect.stringContaining("novel_field")],
    });
    expect((await api.call("GET", `/jobs/${jobId}`)).status).toBe(404);
    const wrong = await api.call("POST", "/jobs?validate_only=true", {
      body: { version: "1.0", job_id: jobId, operation: "nobody.does-this" },
    });
    expect(wrong.status).toBe(422);
  });

  check("an Idempotency-Key runs once", async ({ api, operations, newId }) => {
    const key = `key-${newId()}`;
    const submit = (operation: string, data: unknown) =>
      api.call("POST", "/jobs", {
        headers: { "idempotency-key": key },
        body: { version: "1.0", job_id: newId(), operation, payload: { data } },
      });
    const first = await submit(operations.echo, 1);
    expect(first.status).toBe(202);
    const firstId = String(first.json["job_id"]);
    expect((await api.call("GET", `/jobs/${firstId}/result?wait=30s`)).status).toBe(200);
    const second = await submit(operations.echo, 1);
    expect(second.status).toBe(200);
    expect(second.json).toMatchObject({ accepted: true, deduplicated: true });
    const copy = await api.call("GET", `/jobs/${String(second.json["job_id"])}/result`);
    expect(copy.json).toMatchObject({ execution_summary: { deduplicated_from: firstId } });
    const other = await submit(operations.echo, 2);
    expect(other.status).toBe(422);
    expect(other.json).toMatchObject({
      accepted: false,
      state: "rejected",
      error: { code: "IDEMPOTENCY_KEY_REUSED" },
    });
  });

  check(
    "an Idempotency-Key that is not the document's is 400",
    async ({ api, operations, newId }) => {
      const execution = { idempotency_key: "one" };
      for (const key of ["another", "x".repeat(257)]) {
        const { status, json } = await api.call("POST", "/jobs", {
          headers: { "idempotency-key": key },
          body: { version: "1.0", job_id: newId(), operation: operations.echo, execution },
        });
        expect(status).toBe(400);
        expect(json).toMatchObject({ accepted: false, error: { code: "VALIDATION_ERROR" } });
      }
    },
  );

  check("a key of a job that runs is 409 with that job", async ({ api, operations, newId }) => {
    const key = `key-${newId()}`;
    const submit = (jobId: string) =>
      api.call("POST", "/jobs", {
        headers: { "idempotency-key": key },
        body: { version: "1.0", job_id: jobId, operation: operations.endless },
      });
    const jobId = newId();
    expect((await submit(jobId)).status).toBe(202);
    const second = await submit(newId());
    expect(second.status).toBe(409);
    expect(second.json).toMatchObject({ error: { code: "IDEMPOTENCY_IN_PROGRESS" } });
    expect(second.text).toContain(jobId);
    await api.call("DELETE", `/jobs/${jobId}`);
  });

  check("POST /jobs:batch answers for each job by itself", async ({ api, operations, newId }) => {
    const [first, second] = [newId(), newId()];
    const { status, json } = await api.call("POST", "/jobs:batch", {
      body: {
        jobs: [
          { version: "1.0", job_id: first, operation: operations.echo },
          { version: "1.0", job_id: newId(), operation: "NOT an operation" },
          { version: "1.0", job_id: second, operation: operations.echo },
          { version: "1.0", job_id: first, operation: operations.echo },
        ],
      },
    });
    expect(status).toBe(207);
    expect(json["results"]).toMatchObject([
      { status: 202, accepted: true, job_id: first },
      { status: 400, accepted: false, error: { code: "VALIDATION_ERROR" } },
      { status: 202, accepted: true, job_id: second },
      { status: 409, accepted: false, error: { code: "JOB_ID_ALREADY_EXISTS" } },
    ]);
  });

  check("POST /jobs:batch refuses what is no list of 1 to 1,000 jobs", async ({ api }) => {
    for (const body of [{}, [], { jobs: {} }, { jobs: [] }, { jobs: Array(1_001).fill(null) }]) {
      const { status, json } = await api.call("POST", "/jobs:batch", { body });
      expect(status).toBe(400);
      expect(json).toMatchObject({ error: { code: "VALIDATION_ERROR" } });
    }
    const odd = await api.call("POST", "/jobs:batch", { body: { jobs: [null, 7, "x", []] } });
    expect(odd.status).toBe(207);
    const results = odd.json["results"] as readonly { readonly status: number }[];
    expect(results.map(({ status }) => status)).toEqual([400, 400, 400, 400]);
  });

  check(
    "a client of version 0 gets its own names, also when it is refused",
    async ({ api, newId }) => {
      const jobId = newId();
      const answer = await api.call("POST", "/jobs", {
        body: {
          protocol_version: 1,
          job_id: jobId,
          created_at: new Date().toISOString(),
          task: { type: "container.run", payload: {} },
          runtime: { mode: "image", image: "busybox" },
        },
      });
      const { json, status, text } = answer;
      expect([202, 403, 422], text).toContain(status);
      if (status !== 202) {
        expect(json).toMatchObject({ accepted: false, job_id: jobId, state: "rejected" });
        expect(json["error"]).toMatchObject({
          code: expect.stringMatching(/^(RUNTIME_NOT_SUPPORTED|IMAGE_NOT_ALLOWED|POLICY_DENIED)$/),
        });
        return;
      }
      expect(json).toMatchObject({ accepted: true, job_id: jobId, state: "queued" });
      await api.call("GET", `/jobs/${jobId}/result?wait=30s`);
      const record = await api.call("GET", `/jobs/${jobId}`);
      expect(record.json).toMatchObject({
        job_id: jobId,
        state: expect.stringMatching(/^(queued|running|finished|failed)$/),
        stdout: expect.any(String),
        stderr: expect.any(String),
      });
      for (const name of ["created_at", "started_at", "finished_at", "exit_code", "error"]) {
        expect(record.json, name).toHaveProperty(name);
      }
      expect(record.json).not.toHaveProperty("version");
    },
  );
}
