import type { JobEvent } from "@longshore/core";
import type { TailEntry } from "./event-tail.ts";

/** How readers of one kind are told events. */
export interface EventView {
  /** Stable name: readers with the same one share their bytes */
  readonly name: string;
  /** The message for an event; empty when it is not told */
  message(entry: TailEntry): string;
}

/** Events that follow each other, as the bytes that every reader at their beginning is sent. */
export interface EventPage {
  /** Empty when none of the events is told in the view */
  readonly bytes: Uint8Array;
  /** Number of the last event: where a reader goes on */
  readonly lastSequence: number;
}

/** What a reader is handed at a time: bounds what a slow one holds. A larger event is a page of its own. */
const maxPageLength = 65_536;

/** The first page of the entries. */
export function firstPage(entries: readonly TailEntry[], view: EventView): EventPage | undefined {
  const [page] = pages(entries, view);
  return page;
}

/** All entries as pages, one after the other. */
export function* pages(
  entries: Iterable<TailEntry>,
  view: EventView,
): Generator<EventPage, void, undefined> {
  let text = "";
  let last: JobEvent | undefined;
  for (const entry of entries) {
    const message = view.message(entry);
    if (last !== undefined && text.length + message.length > maxPageLength) {
      yield { bytes: Buffer.from(text), lastSequence: last.sequence };
      text = "";
    }
    text += message;
    last = entry.event;
  }
  if (last !== undefined) yield { bytes: Buffer.from(text), lastSequence: last.sequence };
}
