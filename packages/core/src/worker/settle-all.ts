import type { Logger } from "../telemetry/logger.ts";

/** Calls something for each thing, all at once; what fails is logged and stops nothing. */
export async function settleAll<T>(
  things: readonly T[],
  call: (thing: T) => PromiseLike<void>,
  log: { readonly logger: Logger; readonly failure: string },
): Promise<void> {
  for (const outcome of await Promise.allSettled(things.map(call))) {
    if (outcome.status === "rejected") log.logger.error({ err: outcome.reason }, log.failure);
  }
}
