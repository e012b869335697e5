/** Runs what belongs to one key one after the other, and different keys side by side. */
export type Turns = <T>(key: string, work: () => Promise<T>) => Promise<T>;

export function createTurns(): Turns {
  const last = new Map<string, Promise<unknown>>();
  return async (key, work) => {
    // How the one before ended is its caller's business.
    const run = (last.get(key) ?? Promise.resolve()).catch(() => {}).then(work);
    last.set(key, run);
    try {
      return await run;
    } finally {
      if (last.get(key) === run) last.delete(key);
    }
  };
}
