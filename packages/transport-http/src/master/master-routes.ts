import { workerObject, workerVersion, type JobStore } from "@longshore/core";
import { jsonAnswer, type ApiRoute } from "../api-route.ts";
import { errors, json } from "../routes/descriptions.ts";
import { probeRoutes } from "../routes/probe.ts";
import type { MasterJobs } from "./master-jobs.ts";

export interface MasterRoutesOptions {
  readonly id: string;
  readonly store: JobStore;
  readonly jobs: MasterJobs;
}

/** `GET /health`, `/live` and `/ready` of a master. */
export function masterRoutes({ id, store, jobs }: MasterRoutesOptions): readonly ApiRoute[] {
  const startedAtMs = performance.now();

  async function isStoreWell(): Promise<boolean> {
    try {
      await store.countByState();
      return true;
    } catch {
      // Why is in the log of whatever failed by it.
      return false;
    }
  }

  return [
    ...probeRoutes({
      tag: "master",
      readySummary: "Whether the master can keep jobs",
      isReady: isStoreWell,
    }),
    {
      method: "GET",
      path: "/health",
      access: { object: workerObject(id), action: "query" },
      description: {
        operationId: "getHealth",
        summary: "How the master is",
        tag: "master",
        responses: {
          "200": { description: "It is ok", content: json("MasterHealth") },
          "503": { description: "It is not", content: json("MasterHealth") },
          ...errors(),
        },
      },
      async handle() {
        const isWell = await isStoreWell();
        return jsonAnswer(isWell ? 200 : 503, {
          status: isWell ? "ok" : "unhealthy",
          master_id: id,
          version: workerVersion,
          uptime_seconds: Math.round((performance.now() - startedAtMs) / 1_000),
          queued_jobs: jobs.book.size - jobs.book.leasedCount,
          leased_jobs: jobs.book.leasedCount,
          workers: jobs.sessions.values().length,
        });
      },
    },
  ];
}
