import { workerObject, workerVersion, type JobStore } from "@longshore/core";
import { jsonAnswer, type ApiRoute } from "../api-route.ts";
import { errors, json } from "../routes/descriptions.ts";
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

  function probe(
    path: string,
    about: { readonly operationId: string; readonly summary: string },
    isUp: () => Promise<boolean>,
  ): ApiRoute {
    return {
      method: "GET",
      path,
      access: "public",
      description: {
        ...about,
        tag: "master",
        responses: {
          "200": { description: "Yes", content: json("Probe") },
          "503": { description: "No", content: json("Probe") },
          "405": { description: "It is only asked", content: json("ErrorAnswer") },
        },
      },
      handle: async () => {
        const isGood = await isUp();
        return jsonAnswer(isGood ? 200 : 503, { status: isGood ? "ok" : "unavailable" });
      },
    };
  }

  return [
    probe(
      "/live",
      { operationId: "isLive", summary: "Whether the process answers at all" },
      async () => true,
    ),
    probe(
      "/ready",
      { operationId: "isReady", summary: "Whether the master can keep jobs" },
      isStoreWell,
    ),
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
