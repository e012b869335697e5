import { isLongshoreError } from "@longshore/core";

/** The HTTP status that an error came with. */
export function statusOf(error: unknown): number | undefined {
  const status = isLongshoreError(error) ? error.details?.["status"] : undefined;
  return typeof status === "number" ? status : undefined;
}

/** How long the master asked to wait before the next try, in milliseconds. */
export function retryAfterOf(error: unknown): number | undefined {
  return isLongshoreError(error) ? error.retryAfterMs : undefined;
}

/** Whether the master, and not something on the way to it, has answered. */
function isOfMaster(error: unknown): boolean {
  return isLongshoreError(error) && error.code !== "TRANSPORT_ERROR";
}

/**
 * Whether a lease is another worker's now. A 404 that does not carry an error object comes from something between, which
 * knows nothing of leases.
 */
export function isLeaseGone(error: unknown): boolean {
  const status = statusOf(error);
  return status === 409 || status === 410 || (status === 404 && isOfMaster(error));
}

const finalStatuses: ReadonlySet<number | undefined> = new Set([400, 413, 415, 422]);

/** Whether the master will never take this message, however often it is sent. */
export function isRefusedForGood(error: unknown): boolean {
  return finalStatuses.has(statusOf(error)) && isOfMaster(error);
}

/** Whether the master does not know this worker, or does not let it. */
export function isUnwelcome(error: unknown): boolean {
  const status = statusOf(error);
  return status === 401 || status === 403;
}
