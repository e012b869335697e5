import { setTimeout as delay } from "node:timers/promises";
import type { ImageDatabase } from "./image-database.ts";

const retryMs = 25;

/**
 * The right to add to the store; waits while files are being deleted from it, be it by another process, which nothing tells
 * the end of.
 */
export async function acquireLease(
  database: ImageDatabase,
  purpose: string,
  signal: AbortSignal,
): Promise<Disposable> {
  for (;;) {
    signal.throwIfAborted();
    const lease = database.tryLease(purpose);
    if (lease !== undefined) return lease;
    await delay(retryMs, undefined, { signal });
  }
}
