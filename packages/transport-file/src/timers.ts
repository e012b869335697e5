/** Actions to come, one for each key. */
export interface Timers {
  /** Left out while an action of the same key is yet to come. */
  later(key: string, delayMs: number, action: () => void): void;
  clear(): void;
}

/** @param longestMs delays above it end early: the action looks again whether its time has come */
export function createTimers(longestMs: number): Timers {
  const timers = new Map<string, NodeJS.Timeout>();
  let isCleared = false;
  return {
    later(key, delayMs, action) {
      if (isCleared || timers.has(key)) return;
      const timer = setTimeout(
        () => {
          timers.delete(key);
          action();
        },
        Math.min(Math.max(delayMs, 1), longestMs),
      );
      timers.set(key, timer);
    },
    clear() {
      isCleared = true;
      for (const timer of timers.values()) clearTimeout(timer);
      timers.clear();
    },
  };
}
