import type { JobDelivery, LeaseSink } from "@longshore/core";
import { expect, vi } from "vitest";

/** A worker's side of a transport that writes down what it is given. */
export interface RecordingSink extends LeaseSink {
  readonly deliveries: readonly JobDelivery[];
  readonly cancelled: readonly string[];
  readonly lostLeases: readonly string[];
  /** Waits for the n-th delivery, from 1 */
  nth(number: number): Promise<JobDelivery>;
}

const waitMs = 10_000;

/** @param take what `deliver` waits for. @default nothing */
export function recordingSink(take: () => Promise<void> = () => Promise.resolve()): RecordingSink {
  const deliveries: JobDelivery[] = [];
  const cancelled: string[] = [];
  const lostLeases: string[] = [];
  return {
    deliveries,
    cancelled,
    lostLeases,
    deliver(delivery) {
      deliveries.push(delivery);
      return take();
    },
    cancel({ jobId }) {
      cancelled.push(jobId);
    },
    lost(leaseId) {
      lostLeases.push(leaseId);
    },
    async nth(number) {
      await vi.waitFor(() => expect(deliveries.length).toBeGreaterThanOrEqual(number), {
        timeout: waitMs,
        interval: 5,
      });
      const delivery = deliveries[number - 1];
      if (delivery === undefined) throw new Error(`there is no delivery ${number}`);
      return delivery;
    },
  };
}
