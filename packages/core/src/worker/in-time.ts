import { LongshoreError } from "../errors/longshore-error.ts";
import { setLongTimeout } from "../executor/long-timeout.ts";

/**
 * Waits for what a plugin does, but not for ever; what is late goes on unheard.
 *
 * @param what said of what is late, e.g. `The handler "x"`
 * @throws {LongshoreError} `TIMEOUT`, and what the work throws
 */
export async function inTime(
  work: PromiseLike<void> | void,
  timeoutMs: number,
  what: string,
): Promise<void> {
  const late = Promise.withResolvers<never>();
  const clear = setLongTimeout(() => {
    late.reject(new LongshoreError("TIMEOUT", `${what} has not ended within ${timeoutMs} ms.`));
  }, timeoutMs);
  try {
    await Promise.race([work, late.promise]);
  } finally {
    clear();
  }
}
