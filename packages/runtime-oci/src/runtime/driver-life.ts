/** Ends what a driver holds in this program, while its sandboxes go on. */
export interface DriverLife {
  readonly hasEnded: () => boolean;
  /** Calls `close` at the end; returns a function that takes that back */
  onEnd(close: () => void): () => void;
  end(): void;
}

export function driverLife(): DriverLife {
  const closers = new Set<() => void>();
  let hasEnded = false;
  return {
    hasEnded: () => hasEnded,
    onEnd(close) {
      closers.add(close);
      return () => {
        closers.delete(close);
      };
    },
    end() {
      hasEnded = true;
      for (const close of closers) close();
      closers.clear();
    },
  };
}
