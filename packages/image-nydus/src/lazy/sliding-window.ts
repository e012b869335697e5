import type { Abortable } from "@longshore/core";
import { abortable } from "./fetch-range.ts";

/** A piece of work that has begun. */
export interface WindowItem {
  readonly bytes: number;
  readonly done: Promise<unknown>;
}

export interface SlidingWindowOptions extends Abortable {
  /** Bytes of all items that are under way */
  readonly maxBytes: number;
  /** Whether the rest goes on when an item fails. @default "stop" */
  readonly onError?: "stop" | "skip" | undefined;
}

/**
 * Takes items, which begin their work when they are taken, as long as there is room, and waits for all of them. Rejects with
 * the first error, or with the signal's reason; then no further items are taken.
 *
 * @returns number of items that failed, with `"skip"`
 */
export async function slidingWindow(
  items: Iterable<WindowItem> | AsyncIterable<WindowItem>,
  options: SlidingWindowOptions,
): Promise<number> {
  const { maxBytes, onError = "stop", signal } = options;
  const running = new Set<Promise<void>>();
  let bytes = 0;
  let failed = 0;
  for await (const item of items) {
    signal?.throwIfAborted();
    bytes += item.bytes;
    const ended = item.done
      .then(
        () => undefined,
        (error: unknown) => {
          failed += 1;
          if (onError === "stop") throw error;
        },
      )
      .finally(() => {
        bytes -= item.bytes;
        running.delete(ended);
      });
    // It is looked at below, or not at all after another one has failed.
    ended.catch(() => undefined);
    running.add(ended);
    // oxlint-disable-next-line eslint/no-unmodified-loop-condition -- changed by what ends meanwhile
    while (bytes >= maxBytes && running.size > 0) {
      await abortable(() => Promise.race(running), { signal });
    }
  }
  await abortable(() => Promise.all(running), { signal });
  return failed;
}
