import { z } from "zod";
import { pollingMessages } from "../polling/messages.ts";

const workerList = z.object({
  workers: z.array(
    z.object({
      worker_id: z.string(),
      pool: z.string(),
      polls: z.boolean(),
      seen_at: z.iso.datetime(),
      leases: z.int().min(0),
    }),
  ),
});

const masterHealth = z.object({
  status: z.enum(["ok", "unhealthy"]),
  master_id: z.string(),
  version: z.string(),
  uptime_seconds: z.number(),
  queued_jobs: z.int().min(0),
  leased_jobs: z.int().min(0),
  workers: z.int().min(0),
});

/** What a master says besides a worker, as JSON Schema by the names of the messages. */
export function masterSchemas(): Readonly<Record<string, unknown>> {
  const all = { ...pollingMessages, workerList, masterHealth };
  return Object.fromEntries(
    Object.entries(all).map(([name, schema]) => {
      const { $schema: _dialect, ...bare } = z.toJSONSchema(schema, { io: "input" });
      return [`${name.charAt(0).toUpperCase()}${name.slice(1)}`, bare];
    }),
  );
}
