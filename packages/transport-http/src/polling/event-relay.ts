import { encodeJobEvent, type JobEvent, type Logger, type WireDocument } from "@longshore/core";
import type { Backoff } from "./backoff.ts";
import { isRefusedForGood } from "./refusal.ts";
import { maxEventsAtOnce } from "./messages.ts";
import type { Sleep } from "./sleep.ts";

/** An event on its way, with the lease of its job. */
interface RelayedEvent {
  readonly lease_id: string;
  readonly event: WireDocument;
}

export interface EventRelayOptions {
  /** Sends a batch to the master */
  readonly report: (events: readonly RelayedEvent[], signal: AbortSignal) => Promise<void>;
  readonly backoff: Backoff;
  readonly sleep: Sleep;
  readonly logger: Logger;
}

/**
 * Shows events to the master, in order and as fast as it takes them. While it does not, a bounded number waits, and newer
 * ones are left out.
 */
export interface EventRelay extends AsyncDisposable {
  add(leaseId: string, event: JobEvent): void;
  /** Resolves when no event of the lease is under way; takes out those that wait, for its answer to bring along. */
  takeRest(leaseId: string): Promise<readonly WireDocument[]>;
}

const maxWaiting = 5_000;
const maxWaitingBytes = 4_194_304;
/** Bytes of events in one message */
const batchBytes = 524_288;

interface Waiting extends RelayedEvent {
  readonly byteLength: number;
}

export function eventRelay({ report, backoff, sleep, logger }: EventRelayOptions): EventRelay {
  const closing = new AbortController();
  let waiting: Waiting[] = [];
  let waitingBytes = 0;
  let droppedCount = 0;
  let underWay: readonly Waiting[] = [];
  let running: Promise<void> | undefined;
  let flushed: Promise<void> = Promise.resolve();

  function nextBatch(): readonly Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const { byteLength } of waiting) {
      bytes += byteLength;
      if (count > 0 && (bytes > batchBytes || count >= maxEventsAtOnce)) break;
      count += 1;
    }
    return drop(waiting.splice(0, count));
  }

  function drop(events: readonly Waiting[]): readonly Waiting[] {
    for (const { byteLength } of events) waitingBytes -= byteLength;
    return events;
  }

  async function run(): Promise<void> {
    while (waiting.length > 0 && !closing.signal.aborted) {
      underWay = nextBatch();
      const { promise, resolve } = Promise.withResolvers<void>();
      flushed = promise;
      try {
        const events = underWay.map(({ lease_id, event }) => ({ lease_id, event }));
        await report(events, closing.signal);
        backoff.reset();
        noteDropped();
      } catch (error) {
        if (closing.signal.aborted) return;
        if (isRefusedForGood(error)) logger.warn({ err: error }, "master refused events");
        else putBack(underWay);
        underWay = [];
        resolve();
        await sleep(backoff.next(), closing.signal);
      } finally {
        underWay = [];
        resolve();
      }
    }
  }

  function begin(): void {
    if (closing.signal.aborted || waiting.length === 0) return;
    running ??= run().finally(() => {
      running = undefined;
      // One that came when nothing was left and this had not ended yet.
      begin();
    });
  }

  function putBack(events: readonly Waiting[]): void {
    waiting = [...events, ...waiting];
    for (const { byteLength } of events) waitingBytes += byteLength;
  }

  function noteDropped(): void {
    if (droppedCount === 0) return;
    logger.warn({ droppedCount }, "events were left out while the master did not take them");
    droppedCount = 0;
  }

  return {
    add(leaseId, jobEvent) {
      if (closing.signal.aborted) return;
      const event = encodeJobEvent(jobEvent);
      const byteLength = JSON.stringify(event).length;
      if (waiting.length >= maxWaiting || waitingBytes + byteLength > maxWaitingBytes) {
        droppedCount += 1;
        return;
      }
      waiting.push({ lease_id: leaseId, event, byteLength });
      waitingBytes += byteLength;
      begin();
    },
    async takeRest(leaseId) {
      const isOfLease = ({ lease_id }: Waiting): boolean => lease_id === leaseId;
      // When some have arrived, the next ones may have left already.
      while (underWay.some(isOfLease)) await flushed;
      const rest = drop(waiting.filter(isOfLease));
      waiting = waiting.filter((one) => !isOfLease(one));
      return rest.slice(-maxEventsAtOnce).map(({ event }) => event);
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      await running;
    },
  };
}
