import type { RuntimeClient } from "./runtime-client.ts";

/** A wait for something to happen in a runtime. */
export interface SandboxChanges extends AsyncDisposable {
  /** Resolves after the next event since the last call, or after the time. Rejects with the signal's reason. */
  next(maxMs: number): Promise<void>;
}

/** How often a runtime without events is asked. */
const pollMs = 100;

/** Listens from now on. A runtime without events can only be asked again and again. */
export function sandboxChanges(
  runtime: RuntimeClient,
  signal: AbortSignal | undefined,
): SandboxChanges {
  const left = new AbortController();
  const end = signal === undefined ? left.signal : AbortSignal.any([signal, left.signal]);
  let wake = Promise.withResolvers<void>();
  let hasEvents = runtime.getContainerEvents !== undefined;

  const listen = async (): Promise<void> => {
    try {
      for await (const _event of runtime.getContainerEvents?.({ signal: end }) ?? [])
        wake.resolve();
    } catch {
      // The abort, or events that broke off: then asking must do.
    }
    hasEvents = false;
    wake.resolve();
  };
  const listening = listen();

  return {
    async next(maxMs) {
      const timer = setTimeout(
        () => wake.resolve(),
        Math.max(0, hasEvents ? maxMs : Math.min(maxMs, pollMs)),
      );
      try {
        await wake.promise;
      } finally {
        clearTimeout(timer);
      }
      wake = Promise.withResolvers<void>();
      signal?.throwIfAborted();
    },
    async [Symbol.asyncDispose]() {
      left.abort();
      await listening;
    },
  };
}
