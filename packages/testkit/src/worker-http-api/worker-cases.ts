import { expect } from "vitest";
import type { DeclareApiCase } from "./api-case.ts";

/** Routes about the worker itself. */
export function declareWorker(check: DeclareApiCase): void {
  check("GET /info tells what the worker is, and its ETag", async ({ api, operations }) => {
    const { status, json, headers } = await api.call("GET", "/info");
    expect(status).toBe(200);
    expect(json).toMatchObject({
      worker_id: expect.any(String),
      hostname: expect.any(String),
      os: expect.any(String),
      os_architecture: expect.any(String),
      protocol_version: 1,
      cpu_threads: expect.any(Number),
      memory_mb: expect.any(Number),
      labels: expect.any(Object),
      label_list: expect.any(Array),
      version: expect.any(String),
      api_versions: expect.arrayContaining(["1.0"]),
      pool: expect.any(String),
      capabilities: expect.any(Object),
      runtimes: expect.any(Array),
      operations: expect.arrayContaining([operations.echo]),
      started_at: expect.any(String),
    });
    const etag = headers.get("etag") ?? "";
    expect(etag).not.toBe("");
    const again = await api.call("GET", "/info", { headers: { "if-none-match": etag } });
    expect(again).toMatchObject({ status: 304, text: "" });
  });

  check("GET /health has the numbers of both versions", async ({ api }) => {
    const { status, json } = await api.call("GET", "/health");
    expect(status).toBe(200);
    expect(json).toMatchObject({
      status: expect.stringMatching(/^(ok|degraded)$/),
      uptime_seconds: expect.any(Number),
      load_average: [expect.any(Number), expect.any(Number), expect.any(Number)],
      running_jobs: expect.any(Number),
      max_concurrent_jobs: expect.any(Number),
      health_protocol_version: 2,
      timestamp_unix_ms: expect.any(Number),
      cpu_threads: expect.any(Number),
      dedicated_reserved_cpu_ids: [],
      dedicated_reserved_count: 0,
      memory_total_mb: expect.any(Number),
      memory_available_mb: expect.any(Number),
      state: expect.stringMatching(/^(ready|busy)$/),
      queued_jobs: expect.any(Number),
      draining: false,
      checks: expect.any(Object),
    });
    for (const name of ["temperature_c", "jobs_disk_total_mb", "docker_disk_total_mb"]) {
      expect(json[name] === null || typeof json[name] === "number", name).toBe(true);
    }
  });

  check("GET /health tells paths with ?verbose alone", async ({ api }) => {
    expect((await api.call("GET", "/health")).json).toMatchObject({
      jobs_path: null,
      docker_root_dir: null,
    });
    const { status, json } = await api.call("GET", "/health?verbose=true");
    expect(status).toBe(200);
    expect(json["jobs_path"] === null || typeof json["jobs_path"] === "string").toBe(true);
    expect((await api.call("GET", "/health?verbose=perhaps")).status).toBe(400);
  });

  check("GET /live and GET /ready say yes", async ({ api }) => {
    expect((await api.call("GET", "/live")).status).toBe(200);
    expect((await api.call("GET", "/ready")).status).toBe(200);
  });

  check("GET /capabilities lists the operations", async ({ api, operations }) => {
    const { status, json } = await api.call("GET", "/capabilities");
    expect(status).toBe(200);
    expect(json["operations"]).toContain(operations.echo);
    expect(json).toMatchObject({ limits: { max_concurrent_jobs: expect.any(Number) } });
  });

  check("GET /metrics counts the jobs", async ({ api, operations, submit }) => {
    const jobId = await submit(operations.echo);
    await api.call("GET", `/jobs/${jobId}/result?wait=30s`);
    const { status, headers, text } = await api.call("GET", "/metrics");
    expect(status).toBe(200);
    expect(headers.get("content-type")).toMatch(/^text\/plain/);
    expect(text).toContain("# TYPE worker_jobs_total counter");
    expect(text).toMatch(
      new RegExp(`^worker_jobs_total\\{[^}]*operation="${operations.echo}"[^}]*\\} [1-9]`, "m"),
    );
  });

  check("GET /openapi.json describes the routes", async ({ api }) => {
    const { status, json } = await api.call("GET", "/openapi.json");
    expect(status).toBe(200);
    expect(json).toMatchObject({ openapi: expect.stringMatching(/^3\.1\./) });
    expect(Object.keys(json["paths"] as object)).toEqual(
      expect.arrayContaining([
        "/info",
        "/health",
        "/live",
        "/ready",
        "/capabilities",
        "/jobs",
        "/jobs:batch",
        "/jobs/{id}",
        "/jobs/{id}/result",
        "/jobs/{id}/logs",
        "/jobs/{id}/events",
        "/jobs/{id}/artifacts",
        "/jobs/{id}/artifacts/{path}",
        "/jobs/{id}/cancel",
        "/jobs/{id}/retry",
      ]),
    );
  });

  check("serves the same below /api/v1, with and without a slash at the end", async ({ api }) => {
    const root = await api.call("GET", "/info");
    for (const path of ["/api/v1/info", "/info/", "/api/v1/info/"]) {
      const other = await api.call("GET", path);
      expect(other.status, path).toBe(200);
      expect(JSON.stringify(other.json)).toContain(String(root.json["worker_id"]));
    }
  });

  check("answers HEAD without a body and OPTIONS with the methods", async ({ api }) => {
    const head = await api.call("HEAD", "/info");
    expect(head).toMatchObject({ status: 200, text: "" });
    const options = await api.call("OPTIONS", "/jobs");
    expect(options.status).toBe(204);
    expect(options.headers.get("allow")?.split(", ")).toEqual(
      expect.arrayContaining(["GET", "HEAD", "OPTIONS", "POST"]),
    );
  });

  check("lets no page of another origin read answers", async ({ api }) => {
    const { headers } = await api.call("GET", "/info", {
      headers: { origin: "https://evil.example" },
    });
    expect(headers.get("access-control-allow-origin")).toBeNull();
  });
}
