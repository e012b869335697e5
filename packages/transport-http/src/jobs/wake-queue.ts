/** Lets those who wait go on, a few in each turn of the event loop. */
export interface WakeQueue {
  add(wake: () => void): void;
}

/** So many readers can be written to in about a millisecond; between two turns everything else gets its turn. */
const wakesPerTurn = 32;
/** Places that were passed before the list is cut */
const maxPassed = 4_096;

/**
 * One for all readers of a server: an event that a thousand of them wait for is sent in slices, so that the jobs, which
 * run in the same process, and other requests never wait for all of it. Who comes first is first.
 */
export function wakeQueue(): WakeQueue {
  let waiting: (() => void)[] = [];
  let passed = 0;
  let isPlanned = false;

  function plan(): void {
    if (isPlanned) return;
    isPlanned = true;
    setImmediate(turn);
  }

  function turn(): void {
    isPlanned = false;
    const until = Math.min(waiting.length, passed + wakesPerTurn);
    for (; passed < until; passed += 1) waiting[passed]?.();
    if (passed === waiting.length || passed >= maxPassed) {
      waiting = waiting.slice(passed);
      passed = 0;
    }
    if (waiting.length > 0) plan();
  }

  return {
    add(wake) {
      waiting.push(wake);
      plan();
    },
  };
}
