import { expect } from "vitest";
import type { DeclareApiCase } from "./api-case.ts";

/** Listing jobs. */
export function declareLists(check: DeclareApiCase): void {
  check("GET /jobs pages through what was asked for", async ({ api, operations, newId }) => {
    const label = `l-${newId()}`;
    const ids = [newId(), newId(), newId()];
    for (const jobId of ids) {
      await api.call("POST", "/jobs?wait=30s", {
        body: {
          version: "1.0",
          job_id: jobId,
          operation: operations.echo,
          metadata: { labels: { run: label } },
        },
      });
    }
    const seen: string[] = [];
    let cursor = "";
    do {
      const { status, json } = await api.call(
        "GET",
        `/jobs?label=${encodeURIComponent(`run=${label}`)}&state=completed&operation=${operations.echo}&order=oldest&limit=2${cursor}`,
      );
      expect(status).toBe(200);
      const jobs = json["jobs"] as readonly Readonly<Record<string, unknown>>[];
      for (const job of jobs) {
        seen.push(String(job["job_id"]));
        expect(job).not.toHaveProperty("stdout");
      }
      const next = json["next_cursor"];
      cursor = typeof next === "string" ? `&cursor=${next}` : "";
    } while (cursor !== "");
    expect(seen).toEqual(ids);
  });

  check(
    "GET /jobs filters by namespace and state, and counts",
    async ({ api, operations, newId }) => {
      const namespace = newId();
      const notBefore = new Date(Date.now() + 3_600_000).toISOString();
      const submit = async (execution: object): Promise<string> => {
        const jobId = newId();
        const { status } = await api.call("POST", "/jobs", {
          body: {
            version: "1.0",
            job_id: jobId,
            operation: operations.echo,
            metadata: { namespace },
            execution,
          },
        });
        expect(status).toBe(202);
        return jobId;
      };
      const ended = await submit({});
      await api.call("GET", `/jobs/${ended}/result?wait=30s`);
      const waiting = await submit({ not_before: notBefore });
      const ids = async (query: string): Promise<readonly unknown[]> => {
        const { json } = await api.call("GET", `/jobs?namespace=${namespace}${query}`);
        return (json["jobs"] as readonly Readonly<Record<string, unknown>>[]).map(
          (job) => job["job_id"],
        );
      };
      expect(await ids("")).toEqual([waiting, ended]);
      expect(await ids("&order=oldest")).toEqual([ended, waiting]);
      expect(await ids("&state=queued")).toEqual([waiting]);
      expect(await ids("&state=queued,completed&operation=nobody.has-this")).toEqual([]);
      const counted = await api.call("GET", `/jobs?namespace=${namespace}&limit=1&total=true`);
      expect(counted.json).toMatchObject({ total: 2, next_cursor: expect.any(String) });
      await api.call("DELETE", `/jobs/${waiting}`);
    },
  );
}
