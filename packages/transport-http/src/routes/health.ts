import { statfs } from "node:fs/promises";
import { availableParallelism, freemem, loadavg, totalmem } from "node:os";
import { workerObject, type WorkerHealth } from "@longshore/core";
import { z } from "zod";
import type { WorkerApiContext } from "../api-context.ts";
import { jsonAnswer, type ApiRoute } from "../api-route.ts";
import { dockerRoot } from "../host/docker-root.ts";
import { processorTemperature } from "../host/temperature.ts";
import { flag, parseQuery } from "../query.ts";
import { errors, json } from "./descriptions.ts";
import { probeRoutes } from "./probe.ts";

const mebibyte = 1_048_576;
const healthQuery = z.object({ verbose: flag.optional() });

/** `GET /health`, `/live` and `/ready`: how this worker is. */
export function healthRoutes(
  context: WorkerApiContext & { readonly jobsPath: string },
): readonly ApiRoute[] {
  const { worker, startedAt, jobsPath } = context;

  async function health(isVerbose: boolean) {
    const { status, state, load, checks } = await worker.health();
    const isGoing = state === "draining" || state === "stopping" || state === "stopped";
    const disk = await diskOf(jobsPath);
    const docker = await dockerRoot();
    const dockerDisk = docker === undefined ? unknownDisk : await diskOf(docker);
    return {
      status: isGoing ? (state === "draining" ? "draining" : "stopping") : status,
      uptime_seconds: Math.floor((Date.now() - startedAt.getTime()) / 1_000),
      load_average: loadavg(),
      running_jobs: load.runningJobs,
      max_concurrent_jobs: load.maxConcurrentJobs,
      temperature_c: await processorTemperature(),
      health_protocol_version: 2,
      timestamp_unix_ms: Date.now(),
      cpu_threads: availableParallelism(),
      dedicated_reserved_cpu_ids: [],
      dedicated_reserved_count: 0,
      memory_total_mb: Math.floor(totalmem() / mebibyte),
      // On Linux what programs can have without swapping: caches give way.
      memory_available_mb: Math.floor(freemem() / mebibyte),
      jobs_path: isVerbose ? jobsPath : null,
      jobs_disk_total_mb: disk.totalMb,
      jobs_disk_available_mb: disk.availableMb,
      docker_root_dir: isVerbose ? (docker ?? null) : null,
      docker_disk_total_mb: dockerDisk.totalMb,
      docker_disk_available_mb: dockerDisk.availableMb,
      state,
      queued_jobs: load.queuedJobs,
      draining: isGoing,
      checks: Object.fromEntries(
        Object.entries(checks).map(([name, check]) => [name, shownCheck(check, isVerbose)]),
      ),
    };
  }

  return [
    {
      method: "GET",
      path: "/health",
      access: { object: workerObject(worker.id), action: "query" },
      description: {
        operationId: "getHealth",
        summary: "How this worker and its host are",
        tag: "worker",
        parameters: [
          {
            name: "verbose",
            in: "query",
            description: "Also paths, and what is wrong in words",
            schema: { type: "boolean", default: false },
          },
        ],
        responses: {
          "200": { description: "It is ok, or degraded", content: json("Health") },
          ...errors(400),
          "503": { description: "It is unhealthy, or stopping", content: json("Health") },
        },
      },
      async handle(request) {
        const { verbose = false } = parseQuery(healthQuery, request.query);
        const value = await health(verbose);
        const isUp = value.status === "ok" || value.status === "degraded";
        return jsonAnswer(isUp ? 200 : 503, value);
      },
    },
    ...probeRoutes({
      tag: "worker",
      readySummary: "Whether the worker takes jobs",
      async isReady() {
        if (worker.state !== "ready" && worker.state !== "busy") return false;
        const { checks } = await worker.health();
        return checks["store"]?.status !== "unhealthy";
      },
    }),
  ];
}

function shownCheck(
  { status, message }: WorkerHealth["checks"][string],
  isVerbose: boolean,
): Record<string, unknown> {
  return { status, ...(isVerbose && message !== undefined && { message }) };
}

interface Disk {
  readonly totalMb: number | null;
  readonly availableMb: number | null;
}

const unknownDisk: Disk = { totalMb: null, availableMb: null };

async function diskOf(path: string): Promise<Disk> {
  try {
    const { bsize, blocks, bavail } = await statfs(path);
    return {
      totalMb: Math.floor((blocks * bsize) / mebibyte),
      availableMb: Math.floor((bavail * bsize) / mebibyte),
    };
  } catch {
    // The directory is made with the first job that needs it.
    return unknownDisk;
  }
}
