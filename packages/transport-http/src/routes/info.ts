import { createHash } from "node:crypto";
import { availableParallelism, cpus, hostname, totalmem } from "node:os";
import { encodeCapabilities, workerObject } from "@longshore/core";
import type { WorkerApiContext } from "../api-context.ts";
import { jsonAnswer, type ApiRoute } from "../api-route.ts";
import { coreCount } from "../host/core-count.ts";
import { errors, json } from "./descriptions.ts";

const mebibyte = 1_048_576;

/** `GET /info` and `GET /capabilities`: what this worker is, and what it can run. */
export function infoRoutes({ worker, startedAt }: WorkerApiContext): readonly ApiRoute[] {
  const access = { object: workerObject(worker.id), action: "query" } as const;

  /** They stay as they are, and to look at them takes milliseconds */
  let processors: ReturnType<typeof findProcessors> | undefined;

  async function info(): Promise<Record<string, unknown>> {
    const { capabilities, labels } = worker;
    processors ??= findProcessors();
    const { model, cores, threads } = await processors;
    return {
      worker_id: worker.id,
      hostname: hostname(),
      os: process.platform,
      os_architecture: process.arch,
      protocol_version: 1,
      cpu_model: model,
      cpu_cores: cores,
      cpu_threads: threads,
      memory_mb: Math.floor(totalmem() / mebibyte),
      labels,
      label_list: Object.entries(labels).map(([key, value]) => `${key}=${value}`),
      version: capabilities.workerVersion,
      api_versions: ["1.0", "0"],
      pool: worker.pool,
      capabilities: encodeCapabilities(capabilities),
      runtimes: capabilities.runtimes,
      operations: capabilities.operations,
      started_at: startedAt.toISOString(),
    };
  }

  return [
    {
      method: "GET",
      path: "/info",
      access,
      description: {
        operationId: "getInfo",
        summary: "What this worker is",
        tag: "worker",
        responses: {
          "200": { description: "The worker", content: json("WorkerInfo") },
          "304": { description: "It is as it was" },
          ...errors(),
        },
      },
      async handle(request) {
        const value = await info();
        const digest = createHash("sha256").update(JSON.stringify(value)).digest("base64url");
        const etag = `"${digest.slice(0, 22)}"`;
        const headers = { etag, "cache-control": "no-cache" };
        if (request.header("if-none-match") === etag) return { status: 304, headers };
        return jsonAnswer(200, value, headers);
      },
    },
    {
      method: "GET",
      path: "/capabilities",
      access,
      description: {
        operationId: "getCapabilities",
        summary: "What this worker can run",
        tag: "worker",
        responses: {
          "200": { description: "Capabilities", content: json("Capabilities") },
          ...errors(),
        },
      },
      handle: () =>
        jsonAnswer(200, { worker_id: worker.id, ...encodeCapabilities(worker.capabilities) }),
    },
  ];
}

async function findProcessors() {
  const [first] = cpus();
  // As in `/health`: those that this process may use, which a container or an affinity can make fewer than there are.
  return {
    model: first?.model ?? null,
    cores: await coreCount(),
    threads: availableParallelism(),
  };
}
