import type { JobStore } from "../store/job-store.ts";
import type { JobTransport } from "../transport/job-transport.ts";
import type { Worker, WorkerHealth } from "./worker.ts";

type Check = WorkerHealth["checks"][string];

/** Asks each part of a worker how it is. A part that cannot answer is unhealthy. */
export async function checkHealth(
  worker: Worker,
  parts: { readonly store: JobStore; readonly transports: readonly JobTransport[] },
): Promise<WorkerHealth> {
  const checks: Record<string, Check> = {};
  await Promise.all([
    ask("store", async () => {
      await parts.store.countByState();
      return { status: "ok" };
    }),
    ...parts.transports.map((transport) =>
      ask(`transport.${transport.name}`, () => transport.health()),
    ),
  ]);

  async function ask(name: string, question: () => Promise<Check>): Promise<void> {
    try {
      checks[name] = await question();
    } catch (error) {
      checks[name] = {
        status: "unhealthy",
        message: error instanceof Error ? error.message : String(error),
      };
    }
  }

  const statuses = new Set(Object.values(checks).map((check) => check.status));
  const status = statuses.has("unhealthy")
    ? "unhealthy"
    : statuses.has("degraded")
      ? "degraded"
      : "ok";
  return { status, state: worker.state, load: worker.load, checks };
}
