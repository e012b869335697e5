/** Remembers what was learned of things that never change, as many as were asked for last. */
export interface RecentlyUsed<Value> {
  /** Rejects as `load` does, which is asked again the next time. */
  get(key: string): Promise<Value>;
}

const maxEntries = 128;

export function recentlyUsed<Value>(load: (key: string) => Promise<Value>): RecentlyUsed<Value> {
  const known = new Map<string, Promise<Value>>();
  return {
    get(key) {
      const value = known.get(key) ?? load(key);
      // The one asked for last is the last to go.
      known.delete(key);
      known.set(key, value);
      const [oldest] = known.keys();
      if (known.size > maxEntries && oldest !== undefined) known.delete(oldest);
      value.catch(() => {
        if (known.get(key) === value) known.delete(key);
      });
      return value;
    },
  };
}
