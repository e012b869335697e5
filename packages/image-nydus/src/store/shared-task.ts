/** What a task of several callers is given. */
export interface SharedContext<Progress> {
  /** Aborted when no caller waits any more */
  readonly signal: AbortSignal;
  /** Tells every caller that is there now */
  report(progress: Progress): void;
}

interface Caller<Progress> {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

interface Flight<Value, Progress> {
  readonly callers: Set<Caller<Progress>>;
  readonly controller: AbortController;
  readonly outcome: Promise<Value>;
  last: Progress | undefined;
}

/** Runs what several ask for at the same time once. */
export interface SharedTasks<Value, Progress> {
  /**
   * Runs the task of a key, or joins the one that runs. A caller that aborts leaves; the task goes on while any is left.
   * Who joins late is told the latest progress first.
   */
  run(
    key: string,
    caller: Caller<Progress>,
    task: (context: SharedContext<Progress>) => Promise<Value>,
  ): Promise<Value>;
  /** Aborts everything, and resolves when all has ended, also what nobody waits for any more. */
  end(reason: Error): Promise<void>;
}

export function sharedTasks<Value, Progress>(): SharedTasks<Value, Progress> {
  /** Those that can be joined */
  const flights = new Map<string, Flight<Value, Progress>>();
  /** Those that run, also when everyone has left and they are only cleaning up */
  const running = new Set<Flight<Value, Progress>>();

  function start(
    key: string,
    task: (context: SharedContext<Progress>) => Promise<Value>,
  ): Flight<Value, Progress> {
    const callers = new Set<Caller<Progress>>();
    const controller = new AbortController();
    const report = (progress: Progress): void => {
      flight.last = progress;
      for (const { onProgress } of callers) onProgress?.(progress);
    };
    // A turn later, so that whoever starts it is among those who are told.
    const outcome = Promise.resolve()
      .then(() => task({ signal: controller.signal, report }))
      .finally(() => {
        running.delete(flight);
        if (flights.get(key) === flight) flights.delete(key);
      });
    // Everyone may have left when it fails.
    outcome.catch(() => undefined);
    const flight: Flight<Value, Progress> = { callers, controller, outcome, last: undefined };
    running.add(flight);
    return flight;
  }

  return {
    async run(key, caller, task) {
      const { signal, onProgress } = caller;
      signal?.throwIfAborted();
      let flight = flights.get(key);
      if (flight === undefined) {
        flight = start(key, task);
        flights.set(key, flight);
      } else if (flight.last !== undefined) {
        onProgress?.(flight.last);
      }
      const { callers, controller, outcome } = flight;
      callers.add(caller);
      const { promise: left, reject: leave } = Promise.withResolvers<never>();
      const onAbort = (): void => {
        leave(signal?.reason as Error);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      try {
        return await Promise.race([outcome, left]);
      } finally {
        signal?.removeEventListener("abort", onAbort);
        callers.delete(caller);
        if (callers.size === 0) {
          // Whoever comes next begins anew: this one is on its way out.
          if (flights.get(key) === flight) flights.delete(key);
          controller.abort(signal?.reason);
        }
      }
    },
    async end(reason) {
      const left = [...running];
      for (const { controller } of left) controller.abort(reason);
      await Promise.allSettled(left.map(({ outcome }) => outcome));
    },
  };
}
