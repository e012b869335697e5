import type { FetchChunksOptions } from "./fetch-chunks.ts";
import { rangeBytes, type StoredRange } from "./fetch-range.ts";
import { backOff } from "./retry-policy.ts";

/** Fetches a range into memory, with retries. The bytes are not checked. @throws what the last attempt failed with */
export async function fetchWhole(
  range: StoredRange,
  options: Omit<FetchChunksOptions, "decode" | "maxGap">,
): Promise<Buffer> {
  const { observer } = options;
  for (let failures = 0; ;) {
    const parts: Buffer[] = [];
    observer.requested(range.length);
    try {
      for await (const bytes of rangeBytes(range, { ...options, wrongAnswers: 0 })) {
        observer.received(bytes.length);
        parts.push(bytes);
      }
      return Buffer.concat(parts);
    } catch (error) {
      failures += 1;
      await backOff(error, failures, options);
      observer.retried(error);
    }
  }
}
