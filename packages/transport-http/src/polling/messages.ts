import { isJobId } from "@longshore/core";
import { z } from "zod";

/** What a worker and its master say to each other; `docs/protocols/polling-protocol.md` has the same in words. */

/** Leases that one answer of a master may hold */
export const maxLeasesAtOnce = 64;
/** Events that one message of a worker may hold */
export const maxEventsAtOnce = 500;
/** Longest time that a worker may ask a master to hold an answer back, in milliseconds */
export const maxWaitMs = 60_000;
/** Shortest and longest lease, in milliseconds */
export const leaseLimitsMs = { least: 100, most: 86_400_000 } as const;

const id = z.string().refine(isJobId, "expected letters, digits and ._-, at most 128");
const leaseId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._~-]{0,199}$/, "expected letters, digits and ._~-, at most 200");
const instanceId = z
  .string()
  .regex(/^[A-Za-z0-9-]{1,64}$/, "expected letters, digits and -, at most 64");
const cursor = z.string().min(1).max(200);
const name = z.string().min(1).max(253);
const json = z.record(z.string(), z.unknown());

export const leaseIdSchema: z.ZodType<string> = leaseId;
export const workerIdSchema: z.ZodType<string> = id;

/** `POST /workers` */
export const registration = z.object({
  worker_id: id.describe("The worker; one process at a time works under it"),
  instance_id: instanceId.describe("Random name of this process of the worker"),
  replaces: instanceId
    .optional()
    .describe("Earlier process of the worker that is known to be gone, by its `instance_id`"),
  lease_ms: z
    .int()
    .min(leaseLimitsMs.least)
    .max(leaseLimitsMs.most)
    .describe("How long a lease is to live that is not extended"),
  pool: name.optional().describe("Pool of the worker; `default` when absent"),
  labels: z.record(name, z.string().max(253)).optional().describe("Labels that jobs select by"),
  taints: z
    .array(
      z.object({
        key: name,
        value: z.string().max(253).optional(),
        effect: z.enum(["no_schedule", "prefer_no_schedule"]),
      }),
    )
    .max(64)
    .optional()
    .describe("Keep jobs away that do not tolerate them"),
  capabilities: json
    .optional()
    .describe("What the worker can run, as `GET /capabilities`; without it, it gets every job"),
});

/** Answer to a registration */
export const registered = z.object({
  worker_id: id.describe("As it was sent"),
  lease_ms: z.int().min(leaseLimitsMs.least).max(leaseLimitsMs.most).describe("As it was sent"),
  max_wait_ms: z.int().min(0).describe("Longest `wait_ms` that the master takes"),
  max_result_bytes: z.int().min(1_024).describe("Longest `ack` that the master takes"),
});

/** A job that is leased to a worker */
export const delivery = z.object({
  lease_id: leaseId.describe("Names the lease; whoever knows it may answer the job"),
  job_id: id.describe("The job"),
  attempt: z
    .int()
    .min(1)
    .max(1_000_000)
    .describe("How often the job went from one worker to another, plus one"),
  document: json.describe("The job document, version 1 or 0"),
});

/** `GET /workers/{id}/leases`: one page of what the worker holds */
export const leasePage = z.object({
  leases: z.array(delivery).max(maxLeasesAtOnce).describe("Deliveries, in the order of their jobs' ids"),
  next_cursor: cursor.optional().describe("`cursor` of the next page; absent on the last one"),
});

/** `POST /workers/{id}/poll` */
export const pollRequest = z.object({
  instance_id: instanceId.describe("As it was registered"),
  max_leases: z.int().min(0).max(maxLeasesAtOnce).describe("Jobs that the worker takes now"),
  wait_ms: z
    .int()
    .min(0)
    .max(maxWaitMs)
    .describe("How long the answer may be held back while there is nothing to tell"),
  cancel_cursor: cursor.optional().describe("From the answer before; absent at first"),
});

/** One job that is to end */
export const cancelNotice = z.object({
  job_id: id.describe("The job"),
  lease_id: leaseId.describe("The worker's lease of it"),
  reason: z.string().max(1_000).optional().describe("Why, for people"),
});

/** Answer to a poll */
export const pollAnswer = z.object({
  leases: z.array(delivery).max(maxLeasesAtOnce).describe("Jobs that are the worker's now"),
  cancels: z.array(cancelNotice).max(10_000).describe("Jobs of the worker that are to end"),
  cancel_cursor: cursor.describe("For the next poll: what was told until here"),
});

/** `POST /workers/{id}/events` */
export const eventReport = z.object({
  events: z
    .array(
      z.object({
        lease_id: leaseId.describe("The lease of the event's job"),
        event: json.describe("A job event"),
      }),
    )
    .min(1)
    .max(maxEventsAtOnce)
    .describe("Oldest first"),
});

/** Answer to a report of events */
export const eventReceipt = z.object({
  taken: z.int().min(0).describe("Events that were new, and of a lease that lives"),
});

/** Answer to an extension */
export const extended = z.object({
  job_id: id.describe("The job"),
  lease_ms: z.int().min(1).describe("How long the lease lives from now"),
});

/** `POST /leases/{lease_id}/ack` */
export const ackRequest = z.object({
  result: json.describe("The result document"),
  events: z
    .array(json)
    .max(maxEventsAtOnce)
    .optional()
    .describe("Events of the job that were not reported yet"),
});

/** `POST /leases/{lease_id}/nack` */
export const nackRequest = z.object({
  error: json.describe("Why, as an error object"),
  requeue: z.boolean().describe("`true` gives the job back, `false` ends it as `failed`"),
  delay_ms: z
    .int()
    .min(0)
    .max(86_400_000)
    .optional()
    .describe("Wait before it is offered again; 0 when absent"),
  count_attempt: z
    .boolean()
    .optional()
    .describe("Whether the next delivery counts as an attempt; `true` when absent"),
});

/** Answer to `ack` and `nack` */
export const settled = z.object({
  job_id: id.describe("The job"),
  state: z.string().max(64).describe("The job's state now"),
  repeated: z.boolean().describe("Whether the same lease had answered before; nothing was changed"),
});

export type Registration = z.infer<typeof registration>;
export type Registered = z.infer<typeof registered>;
export type Delivery = z.infer<typeof delivery>;
export type PollRequest = z.infer<typeof pollRequest>;
export type PollAnswer = z.infer<typeof pollAnswer>;
export type CancelNotice = z.infer<typeof cancelNotice>;
export type Settled = z.infer<typeof settled>;

/** Every message by the name under which the page of the protocol has it. */
export const pollingMessages: Readonly<Record<string, z.ZodObject>> = {
  registration,
  registered,
  delivery,
  leasePage,
  pollRequest,
  pollAnswer,
  cancelNotice,
  eventReport,
  eventReceipt,
  extended,
  ackRequest,
  nackRequest,
  settled,
};
