import { expect } from "vitest";
import type { DeclareApiCase } from "./api-case.ts";

/**
 * The end of the worker: the last cases, each after the other.
 *
 * @param mayStop whether the suite may
 */
export function declareStops(check: DeclareApiCase, mayStop: boolean): void {
  const skipReason = mayStop ? undefined : "the suite was not told that it may stop the worker";

  check(
    "POST /drain and POST /shutdown refuse a body that is not one",
    async ({ api }) => {
      for (const path of ["/drain", "/shutdown"]) {
        for (const body of ["{", { timeout_seconds: -1 }, { timeout_seconds: "soon" }]) {
          expect((await api.call("POST", path, { body })).status, path).toBe(400);
        }
        const headers = { "content-type": "text/plain" };
        expect((await api.call("POST", path, { body: "x", headers })).status, path).toBe(415);
      }
      expect((await api.call("GET", "/ready")).status).toBe(200);
    },
    skipReason,
  );

  check(
    "POST /drain takes no more jobs, and lets the running ones run",
    async ({ api, operations, submit, newId }) => {
      const jobId = await submit(operations.endless);
      await api.stream(`/jobs/${jobId}/events`, { count: 3 });
      const drain = await api.call("POST", "/drain", { body: { timeout_seconds: 600 } });
      expect(drain.status).toBe(202);
      const late = await api.call("POST", "/jobs", {
        body: { version: "1.0", job_id: newId(), operation: operations.echo },
      });
      expect(late.status).toBe(503);
      expect(late.json).toMatchObject({ error: { code: "WORKER_DRAINING" } });
      expect((await api.call("GET", "/live")).status).toBe(200);
      expect((await api.call("GET", "/ready")).status).toBe(503);
      const health = await api.call("GET", "/health");
      expect(health.status).toBe(503);
      expect(health.json).toMatchObject({ status: "draining", draining: true });
      expect((await api.call("GET", `/jobs/${jobId}`)).json).toMatchObject({ state: "running" });
    },
    skipReason,
  );

  check(
    "POST /shutdown does not wait for them",
    async ({ api }) => {
      expect((await api.call("POST", "/shutdown")).status).toBe(202);
      const isUp = async (): Promise<boolean> => {
        // A worker may answer until its program ends, or be gone at once.
        const health = await api.call("GET", "/health").catch(() => undefined);
        return health !== undefined && health.json["state"] !== "stopped";
      };
      await expect.poll(isUp, { timeout: 30_000 }).toBe(false);
    },
    skipReason,
  );
}
