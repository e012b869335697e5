/** Lets the event loop go on in the midst of work that never waits for anything. */
export interface TurnTaker {
  /** Resolves at once, or in the next turn of the event loop when this one has lasted long enough. */
  take(): Promise<void>;
}

/** @param sliceMs how long the work may hold up everything else */
export function turnTaker(sliceMs: number): TurnTaker {
  let startedAtMs = performance.now();
  let next: Promise<void> | undefined;
  return {
    take() {
      if (next === undefined && performance.now() - startedAtMs < sliceMs) return Promise.resolve();
      next ??= new Promise((resolve) => {
        setImmediate(() => {
          next = undefined;
          startedAtMs = performance.now();
          resolve();
        });
      });
      return next;
    },
  };
}
