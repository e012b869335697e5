import type { WakeQueue } from "./wake-queue.ts";

/** Tells any number of waiters that something has changed. */
export interface ChangeSignal {
  change(): void;
  /** Somebody who waits again and again, never after the signal has aborted. */
  waiter(signal: AbortSignal): Waiter;
  readonly waiterCount: number;
}

interface Waiter extends Disposable {
  /** What `wait` waits on from now: to be taken before one looks, so that no change in between is slept through */
  mark(): number;
  /** Resolves when there was a change since the mark, at the waiter's turn; at once when it is woken, or aborted. */
  wait(mark: number): Promise<void>;
  wake(): void;
}

export function changeSignal(queue: WakeQueue): ChangeSignal {
  const waiting = new Set<() => void>();
  let version = 0;
  let waiterCount = 0;

  return {
    get waiterCount() {
      return waiterCount;
    },
    change() {
      version += 1;
      for (const go of waiting) queue.add(go);
      waiting.clear();
    },
    waiter(signal) {
      let resolve: (() => void) | undefined;
      waiterCount += 1;
      function go(): void {
        const goOn = resolve;
        resolve = undefined;
        goOn?.();
      }
      function wake(): void {
        waiting.delete(go);
        go();
      }
      // One listener for all waits: adding and removing one costs more than the wait.
      signal.addEventListener("abort", wake, { once: true });
      let isOpen = true;
      return {
        mark: () => version,
        wake,
        wait(mark) {
          if (signal.aborted) return Promise.resolve();
          return new Promise((goOn) => {
            resolve = goOn;
            if (version === mark) waiting.add(go);
            else queue.add(go);
          });
        },
        [Symbol.dispose]() {
          if (!isOpen) return;
          isOpen = false;
          waiterCount -= 1;
          wake();
          signal.removeEventListener("abort", wake);
        },
      };
    },
  };
}
