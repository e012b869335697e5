import { isJobId, type Taint, type WireDocument } from "@longshore/core";
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

/** `POST /workers`: who polls. */
export interface Registration {
  readonly worker_id: string;
  readonly instance_id: string;
  readonly replaces?: string | undefined;
  readonly lease_ms: number;
  readonly pool?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly taints?: readonly Taint[] | undefined;
  readonly capabilities?: WireDocument | undefined;
}

/** Answer to a {@link Registration}. */
interface Registered {
  readonly worker_id: string;
  readonly lease_ms: number;
  readonly max_wait_ms: number;
  readonly max_result_bytes: number;
}

/** A job that is leased to a worker. */
export interface Delivery {
  readonly lease_id: string;
  readonly job_id: string;
  readonly attempt: number;
  readonly document: WireDocument;
}

/** `GET /workers/{id}/leases`: one page of what a worker holds. */
export interface LeasePage {
  readonly leases: readonly Delivery[];
  readonly next_cursor?: string | undefined;
}

/** `POST /workers/{id}/poll` */
export interface PollRequest {
  readonly instance_id: string;
  readonly max_leases: number;
  readonly wait_ms: number;
  readonly cancel_cursor?: string | undefined;
}

/** A job that is to end. */
export interface CancelNotice {
  readonly job_id: string;
  readonly lease_id: string;
  readonly reason?: string | undefined;
}

/** Answer to a {@link PollRequest}. */
export interface PollAnswer {
  readonly leases: readonly Delivery[];
  readonly cancels: readonly CancelNotice[];
  readonly cancel_cursor: string;
}

interface EventReport {
  readonly events: readonly { readonly lease_id: string; readonly event: WireDocument }[];
}

interface EventReceipt {
  readonly taken: number;
}

interface Extended {
  readonly job_id: string;
  readonly lease_ms: number;
}

interface AckRequest {
  readonly result: WireDocument;
  readonly events?: readonly WireDocument[] | undefined;
}

interface NackRequest {
  readonly error: WireDocument;
  readonly requeue: boolean;
  readonly delay_ms?: number | undefined;
  readonly count_attempt?: boolean | undefined;
}

interface Settled {
  readonly job_id: string;
  readonly state: string;
  readonly repeated: boolean;
}

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
const registrationFields = z.object({
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
const registeredFields = z.object({
  worker_id: id.describe("As it was sent"),
  lease_ms: z.int().min(leaseLimitsMs.least).max(leaseLimitsMs.most).describe("As it was sent"),
  max_wait_ms: z.int().min(0).describe("Longest `wait_ms` that the master takes"),
  max_result_bytes: z.int().min(1_024).describe("Longest `ack` that the master takes"),
});

/** A job that is leased to a worker */
const deliveryFields = z.object({
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
const leasePageFields = z.object({
  leases: z
    .array(deliveryFields)
    .max(maxLeasesAtOnce)
    .describe("Deliveries, in the order of their jobs' ids"),
  next_cursor: cursor.optional().describe("`cursor` of the next page; absent on the last one"),
});

/** `POST /workers/{id}/poll` */
const pollRequestFields = z.object({
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
const cancelNoticeFields = z.object({
  job_id: id.describe("The job"),
  lease_id: leaseId.describe("The worker's lease of it"),
  reason: z.string().max(1_000).optional().describe("Why, for people"),
});

/** Answer to a poll */
const pollAnswerFields = z.object({
  leases: z.array(deliveryFields).max(maxLeasesAtOnce).describe("Jobs that are the worker's now"),
  cancels: z.array(cancelNoticeFields).max(10_000).describe("Jobs of the worker that are to end"),
  cancel_cursor: cursor.describe("For the next poll: what was told until here"),
});

/** `POST /workers/{id}/events` */
const eventReportFields = z.object({
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
const eventReceiptFields = z.object({
  taken: z.int().min(0).describe("Events that were new, and of a lease that lives"),
});

/** Answer to an extension */
const extendedFields = z.object({
  job_id: id.describe("The job"),
  lease_ms: z.int().min(1).describe("How long the lease lives from now"),
});

/** `POST /leases/{lease_id}/ack` */
const ackRequestFields = z.object({
  result: json.describe("The result document"),
  events: z
    .array(json)
    .max(maxEventsAtOnce)
    .optional()
    .describe("Events of the job that were not reported yet"),
});

/** `POST /leases/{lease_id}/nack` */
const nackRequestFields = z.object({
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
const settledFields = z.object({
  job_id: id.describe("The job"),
  state: z.string().max(64).describe("The job's state now"),
  repeated: z.boolean().describe("Whether the same lease had answered before; nothing was changed"),
});

export const registration: z.ZodType<Registration> = registrationFields;
export const registered: z.ZodType<Registered> = registeredFields;
export const leasePage: z.ZodType<LeasePage> = leasePageFields;
export const pollRequest: z.ZodType<PollRequest> = pollRequestFields;
export const pollAnswer: z.ZodType<PollAnswer> = pollAnswerFields;
export const eventReport: z.ZodType<EventReport> = eventReportFields;
export const eventReceipt: z.ZodType<EventReceipt> = eventReceiptFields;
export const extended: z.ZodType<Extended> = extendedFields;
export const ackRequest: z.ZodType<AckRequest> = ackRequestFields;
export const nackRequest: z.ZodType<NackRequest> = nackRequestFields;
export const settled: z.ZodType<Settled> = settledFields;

/** Every message by the name under which the page of the protocol has it. */
export const pollingMessages: Readonly<Record<string, z.ZodObject>> = {
  registration: registrationFields,
  registered: registeredFields,
  delivery: deliveryFields,
  leasePage: leasePageFields,
  pollRequest: pollRequestFields,
  cancelNotice: cancelNoticeFields,
  pollAnswer: pollAnswerFields,
  eventReport: eventReportFields,
  eventReceipt: eventReceiptFields,
  extended: extendedFields,
  ackRequest: ackRequestFields,
  nackRequest: nackRequestFields,
  settled: settledFields,
};
