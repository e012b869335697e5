import type { ServerResponse } from "node:http";

/** How long somebody waits for an answer. */
export interface RequestLife {
  /** Whether the client has its answer, or left without it */
  readonly isOver: boolean;
  /** Aborts when the client is gone, or the server closes. Made when it is first asked for: most requests need none */
  readonly signal: AbortSignal;
}

/**
 * Follows requests to their ends. One listener on the server's signal serves them all: `AbortSignal.any` for each costs
 * more than a small request, and leaves a weak reference behind until memory is collected.
 */
export function requestLives(closing: AbortSignal): (outgoing: ServerResponse) => RequestLife {
  const live = new Set<AbortController>();
  closing.addEventListener(
    "abort",
    () => {
      for (const controller of live) controller.abort(closing.reason);
      live.clear();
    },
    { once: true },
  );

  return (outgoing) => {
    let isOver = false;
    let controller: AbortController | undefined;
    outgoing.once("close", () => {
      isOver = true;
      if (controller === undefined) return;
      live.delete(controller);
      controller.abort();
    });
    return {
      get isOver() {
        return isOver;
      },
      get signal() {
        if (controller !== undefined) return controller.signal;
        controller = new AbortController();
        if (isOver || closing.aborted) controller.abort();
        else live.add(controller);
        return controller.signal;
      },
    };
  };
}
