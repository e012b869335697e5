import { workerObject, type Worker } from "@longshore/core";
import type { ApiRoute } from "../api-route.ts";
import type { PrometheusMetrics } from "../prometheus-metrics.ts";
import { errors } from "./descriptions.ts";

/** `GET /metrics`: the worker's metrics, as Prometheus reads them. */
export function metricsRoute(worker: Worker, metrics: PrometheusMetrics): ApiRoute {
  return {
    method: "GET",
    path: "/metrics",
    access: { object: workerObject(worker.id), action: "query" },
    description: {
      operationId: "getMetrics",
      summary: "Metrics, for Prometheus",
      tag: "worker",
      responses: {
        "200": {
          description: "Text exposition format 0.0.4",
          content: { "text/plain": { schema: { type: "string" } } },
        },
        ...errors(),
      },
    },
    handle: async () => ({
      status: 200,
      headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
      body: await metrics.render(),
    }),
  };
}
