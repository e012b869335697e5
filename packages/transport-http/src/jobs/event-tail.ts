import type { JobEvent } from "@longshore/core";
import { eventMessage } from "./event-stream.ts";

/** An event, and the message that it is for whoever follows its job. */
export interface TailEntry {
  readonly event: JobEvent;
  readonly message: string;
}

/** The latest events of a job, without a gap that the log has not. */
export interface EventTail {
  /** Number of the last event */
  readonly lastSequence: number;
  /** Adds what follows the last event; the oldest ones go. */
  add(events: readonly JobEvent[]): void;
  /** Everything after a number; `undefined` when it does not reach back so far. */
  after(sequence: number): readonly TailEntry[] | undefined;
}

/** Events of one job that are kept for its readers; who is further behind reads the log */
const maxEvents = 256;
const maxLength = 1_048_576;

/** @param startsAfter number of the event before the first that will be added */
export function eventTail(startsAfter: number): EventTail {
  let reachesTo = startsAfter;
  let entries: TailEntry[] = [];
  let length = 0;

  return {
    get lastSequence() {
      return entries.at(-1)?.event.sequence ?? reachesTo;
    },
    add(events) {
      for (const event of events) {
        const message = eventMessage(event);
        entries.push({ event, message });
        length += message.length;
      }
      let dropped = 0;
      while (entries.length - dropped > maxEvents || length > maxLength) {
        const oldest = entries[dropped];
        if (oldest === undefined) break;
        length -= oldest.message.length;
        reachesTo = oldest.event.sequence;
        dropped += 1;
      }
      if (dropped > 0) entries = entries.slice(dropped);
    },
    after(sequence) {
      if (sequence < reachesTo) return undefined;
      const start = entries.findIndex(({ event }) => event.sequence > sequence);
      return start === -1 ? [] : entries.slice(start);
    },
  };
}
