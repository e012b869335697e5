import {
  toJobError,
  LongshoreError,
  type JobDocument,
  type JobResult,
  type JobTransport,
} from "@longshore/core";
import { expect, vi } from "vitest";
import { sampleDocument, sampleResult } from "../sample-job.ts";
import { suite, type SkippedCases } from "../suite-cases.ts";
import { recordingSink } from "./recording-sink.ts";

/** One source of jobs, with everything a test needs around it. */
export interface TransportHarness extends AsyncDisposable {
  /** Another transport on the same source; its leases live for `leaseMs` */
  open(leaseMs: number): JobTransport;
  /** Hands a job in, as a client would */
  send(document: JobDocument): Promise<void>;
  /** Asks for a job to be ended, as a client would */
  cancel(jobId: string): Promise<void>;
  /** What the client of a job sees: its result, once there is one */
  resultOf(jobId: string): Promise<JobResult | undefined>;
  /** Makes a transport look as if its process had died, with its leases run out */
  die(transport: JobTransport, workerId: string): Promise<void>;
}

export interface JobTransportSuiteOptions {
  create(): Promise<TransportHarness> | TransportHarness;
  /** Deliveries that a transport has under way at the most when its worker takes none. @default 256 */
  readonly maxInHand?: number;
  readonly skip?: SkippedCases;
}

const longLeaseMs = 60_000;
const shortLeaseMs = 300;
const someError = toJobError(new LongshoreError("VALIDATION_ERROR", "not a job"));

/** The contract of `JobTransport`, as tests. Call it in a test file of the implementation. */
export function describeJobTransportConformance(
  name: string,
  options: JobTransportSuiteOptions,
): void {
  const { create, maxInHand = 256, skip = {} } = options;

  suite(`JobTransport: ${name}`, skip, (test) => {
    const check = (title: string, run: (harness: TransportHarness) => Promise<void>): void => {
      test(title, async () => {
        await using harness = await create();
        await run(harness);
      });
    };

    check("delivers a document as it was sent, before and after the start", async (harness) => {
      const [early, late] = [sampleDocument(), sampleDocument()];
      await harness.send(early);
      await using transport = harness.open(longLeaseMs);
      const sink = recordingSink();
      await transport.start(sink, { workerId: "w1" });
      const first = await sink.nth(1);
      expect(first).toMatchObject({ attempt: 1, contentType: "application/json" });
      expect(jobIdIn(first.body)).toBe(early.jobId);
      expect(first.subject).toMatch(/^(local|token|peer|service|container):.+|^anonymous$/);
      await harness.send(late);
      expect(jobIdIn((await sink.nth(2)).body)).toBe(late.jobId);
    });

    check("answers the client, and takes the same answer twice", async (harness) => {
      await using transport = harness.open(longLeaseMs);
      const sink = recordingSink();
      await transport.start(sink, { workerId: "w1" });
      const document = sampleDocument();
      await harness.send(document);
      const { leaseId } = await sink.nth(1);
      expect(await harness.resultOf(document.jobId)).toBeUndefined();
      await transport.ack(leaseId, sampleResult(document));
      await transport.ack(leaseId, sampleResult(document));
      expect(await harness.resultOf(document.jobId)).toMatchObject({
        jobId: document.jobId,
        status: "completed",
      });
    });

    check("gives a message to one of several workers", async (harness) => {
      const sinks = [recordingSink(), recordingSink()] as const;
      await using first = harness.open(longLeaseMs);
      await using second = harness.open(longLeaseMs);
      await first.start(sinks[0], { workerId: "w1" });
      await second.start(sinks[1], { workerId: "w2" });
      const documents = Array.from({ length: 40 }, () => sampleDocument());
      await Promise.all(documents.map((document) => harness.send(document)));
      const delivered = (): readonly string[] =>
        sinks.flatMap(({ deliveries }) => deliveries.map(({ body }) => jobIdIn(body)));
      await vi.waitFor(() => expect(delivered().length).toBeGreaterThanOrEqual(40), {
        timeout: 10_000,
      });
      expect(delivered().toSorted()).toEqual(documents.map(({ jobId }) => jobId).toSorted());
    });

    check("brings a message back that was given back, and counts the attempt", async (harness) => {
      await using transport = harness.open(longLeaseMs);
      const sink = recordingSink();
      await transport.start(sink, { workerId: "w1" });
      const document = sampleDocument();
      await harness.send(document);
      const first = await sink.nth(1);
      await transport.nack(first.leaseId, someError, { requeue: true });
      const second = await sink.nth(2);
      expect(second).toMatchObject({ attempt: 2, name: first.name });
      expect(jobIdIn(second.body)).toBe(document.jobId);
      await transport.nack(second.leaseId, someError, { requeue: true, countAttempt: false });
      expect((await sink.nth(3)).attempt).toBe(2);
    });

    check("waits before it brings a message back", async (harness) => {
      await using transport = harness.open(longLeaseMs);
      const sink = recordingSink();
      await transport.start(sink, { workerId: "w1" });
      await harness.send(sampleDocument());
      const { leaseId } = await sink.nth(1);
      const givenBackAtMs = Date.now();
      await transport.nack(leaseId, someError, { requeue: true, delayMs: 250 });
      await sink.nth(2);
      expect(Date.now() - givenBackAtMs).toBeGreaterThanOrEqual(245);
    });

    check("puts a message aside that nobody is to get again (F11)", async (harness) => {
      await using transport = harness.open(longLeaseMs);
      const sink = recordingSink();
      await transport.start(sink, { workerId: "w1" });
      await harness.send(sampleDocument());
      const { leaseId } = await sink.nth(1);
      await transport.nack(leaseId, someError, { requeue: false });
      await expect(transport.extend(leaseId)).rejects.toMatchObject({ code: "LEASE_LOST" });
      await using other = harness.open(longLeaseMs);
      const otherSink = recordingSink();
      await other.start(otherSink, { workerId: "w2" });
      await harness.send(sampleDocument());
      await vi.waitFor(() => expect(sink.deliveries.length + otherSink.deliveries.length).toBe(2), {
        timeout: 20_000,
      });
    });

    check("brings a worker's own messages back before its start resolves", async (harness) => {
      const document = sampleDocument();
      {
        await using transport = harness.open(longLeaseMs);
        const sink = recordingSink();
        await transport.start(sink, { workerId: "w1" });
        await harness.send(document);
        await sink.nth(1);
      }
      await using again = harness.open(longLeaseMs);
      const sink = recordingSink();
      await again.start(sink, { workerId: "w1" });
      expect(sink.deliveries.map(({ attempt }) => attempt)).toEqual([1]);
      await again.ack((await sink.nth(1)).leaseId, sampleResult(document));
      expect((await harness.resultOf(document.jobId))?.status).toBe("completed");
    });

    check(
      "gives a dead worker's message to another, and refuses the dead one's answer",
      async (harness) => {
        await using dead = harness.open(shortLeaseMs);
        const deadSink = recordingSink();
        await dead.start(deadSink, { workerId: "w1" });
        const document = sampleDocument();
        await harness.send(document);
        const { leaseId } = await deadSink.nth(1);
        await dead.pause();
        await using heir = harness.open(shortLeaseMs);
        const heirSink = recordingSink();
        await heir.start(heirSink, { workerId: "w2" });
        await harness.die(dead, "w1");
        const taken = await heirSink.nth(1);
        expect(taken.attempt).toBe(2);
        // One after the other: a rejection that nobody awaits yet would end the test run.
        for (const late of [
          () => dead.ack(leaseId, sampleResult(document, "failed")),
          () => dead.nack(leaseId, someError, { requeue: true }),
          () => dead.extend(leaseId),
        ]) {
          await expect(late()).rejects.toMatchObject({ code: "LEASE_LOST" });
        }
        await heir.ack(taken.leaseId, sampleResult(document));
        expect((await harness.resultOf(document.jobId))?.status).toBe("completed");
      },
    );

    check("keeps a message with a worker that extends its lease", async (harness) => {
      await using transport = harness.open(shortLeaseMs);
      const sink = recordingSink();
      await transport.start(sink, { workerId: "w1" });
      await using other = harness.open(shortLeaseMs);
      const otherSink = recordingSink();
      await other.start(otherSink, { workerId: "w2" });
      await transport.pause();
      await other.pause();
      await harness.send(sampleDocument());
      await using keeper = harness.open(shortLeaseMs);
      const keeperSink = recordingSink();
      await keeper.start(keeperSink, { workerId: "w3" });
      const { leaseId } = await keeperSink.nth(1);
      const untilMs = Date.now() + 3 * shortLeaseMs;
      while (Date.now() < untilMs) {
        await keeper.extend(leaseId);
        await new Promise((resolve) => setTimeout(resolve, shortLeaseMs / 6));
      }
      expect(keeperSink.lostLeases).toEqual([]);
      expect([sink, otherSink, keeperSink].flatMap(({ deliveries }) => deliveries)).toHaveLength(1);
    });

    check("leases nothing while it is paused, and still answers", async (harness) => {
      await using transport = harness.open(longLeaseMs);
      const sink = recordingSink();
      await transport.start(sink, { workerId: "w1" });
      const document = sampleDocument();
      await harness.send(document);
      const { leaseId } = await sink.nth(1);
      await transport.pause();
      await transport.pause();
      await harness.send(sampleDocument());
      await using other = harness.open(longLeaseMs);
      const otherSink = recordingSink();
      await other.start(otherSink, { workerId: "w2" });
      await otherSink.nth(1);
      await transport.extend(leaseId);
      await transport.ack(leaseId, sampleResult(document));
      expect(sink.deliveries).toHaveLength(1);
    });

    check("lets a worker id be used once at a time", async (harness) => {
      await using transport = harness.open(longLeaseMs);
      await transport.start(recordingSink(), { workerId: "w1" });
      await using twin = harness.open(longLeaseMs);
      await expect(twin.start(recordingSink(), { workerId: "w1" })).rejects.toMatchObject({
        code: "WORKER_ID_IN_USE",
      });
      await harness.send(sampleDocument());
      await transport[Symbol.asyncDispose]();
      await using next = harness.open(longLeaseMs);
      await next.start(recordingSink(), { workerId: "w1" });
    });

    check("stops to lease when the worker takes nothing", async (harness) => {
      await using transport = harness.open(longLeaseMs);
      const { promise: never, resolve } = Promise.withResolvers<void>();
      const sink = recordingSink(() => never);
      await transport.start(sink, { workerId: "w1" });
      const count = maxInHand + 20;
      for (let sent = 0; sent < count; sent += 20) {
        await Promise.all(Array.from({ length: 20 }, () => harness.send(sampleDocument())));
      }
      await sink.nth(1);
      expect(sink.deliveries.length).toBeLessThanOrEqual(maxInHand);
      resolve();
      await sink.nth(count);
    });

    check("passes a cancel request on to the worker that has the job", async (harness) => {
      await using transport = harness.open(longLeaseMs);
      const sink = recordingSink();
      await transport.start(sink, { workerId: "w1" });
      const document = sampleDocument();
      await harness.send(document);
      await sink.nth(1);
      await harness.cancel(document.jobId);
      await vi.waitFor(() => expect(sink.cancelled).toEqual([document.jobId]), { timeout: 20_000 });
    });

    check("is healthy, and may be closed twice or without a start", async (harness) => {
      const transport = harness.open(longLeaseMs);
      await transport.start(recordingSink(), { workerId: "w1" });
      expect(await transport.health()).toMatchObject({ status: "ok" });
      await transport[Symbol.asyncDispose]();
      await transport[Symbol.asyncDispose]();
      await harness.open(longLeaseMs)[Symbol.asyncDispose]();
    });

    check("does not start when it is aborted already", async (harness) => {
      await using transport = harness.open(longLeaseMs);
      const signal = AbortSignal.abort(new Error("enough"));
      await expect(transport.start(recordingSink(), { workerId: "w1", signal })).rejects.toThrow(
        "enough",
      );
      await using next = harness.open(longLeaseMs);
      await next.start(recordingSink(), { workerId: "w1" });
    });
  });
}

function jobIdIn(body: Uint8Array): string {
  const value: unknown = JSON.parse(Buffer.from(body).toString());
  if (typeof value === "object" && value !== null && "job_id" in value) return String(value.job_id);
  throw new Error("the delivery holds no job");
}
