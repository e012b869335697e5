import { LongshoreError } from "@longshore/core";

/** How many streams are open, of each client and in all. */
export interface StreamSlots {
  /**
   * Takes a place; disposing gives it back.
   *
   * @throws {LongshoreError} `QUEUE_FULL`
   */
  take(client: string): Disposable;
}

export function streamSlots(limits: {
  readonly maxStreamsPerClient: number;
  readonly maxStreams: number;
}): StreamSlots {
  const { maxStreams, maxStreamsPerClient } = limits;
  const counts = new Map<string, number>();
  let total = 0;

  return {
    take(client) {
      const count = counts.get(client) ?? 0;
      if (count >= maxStreamsPerClient || total >= maxStreams) {
        throw new LongshoreError("QUEUE_FULL", "Too many streams are open; close one first.", {
          details: { maxStreamsPerClient },
        });
      }
      counts.set(client, count + 1);
      total += 1;
      let isTaken = true;
      return {
        [Symbol.dispose]() {
          if (!isTaken) return;
          isTaken = false;
          total -= 1;
          const left = (counts.get(client) ?? 1) - 1;
          if (left === 0) counts.delete(client);
          else counts.set(client, left);
        },
      };
    },
  };
}
