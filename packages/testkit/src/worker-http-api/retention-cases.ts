import { expect } from "vitest";
import type { DeclareApiCase } from "./api-case.ts";

/**
 * What comes after a job's retention.
 *
 * @param forget ends it; absent when the suite cannot
 */
export function declareRetention(
  check: DeclareApiCase,
  forget: ((jobId: string) => Promise<void>) | undefined,
): void {
  check(
    "a job whose retention is over is 410, and stays it",
    async ({ api, operations, submit }) => {
      const jobId = await submit(operations.echo);
      expect((await api.call("GET", `/jobs/${jobId}/result?wait=30s`)).status).toBe(200);
      await forget?.(jobId);
      for (const path of ["", "/result", "/result", "/logs", "/events", "/artifacts"]) {
        const { status, json } = await api.call("GET", `/jobs/${jobId}${path}`);
        expect(status, path).toBe(410);
        expect(json).toMatchObject({ job_id: jobId, error: { message: expect.any(String) } });
      }
      expect((await api.call("GET", "/jobs?limit=500")).text).not.toContain(`"${jobId}"`);
    },
    forget === undefined ? "the suite was given no `forget`" : undefined,
  );
}
