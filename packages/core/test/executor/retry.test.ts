import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { JobError, JobExecution } from "../../src/index.ts";
import { isRetried, retryDelayMs } from "../../src/executor/retry.ts";

const retry = { baseMs: 1_000, factor: 2, maxMs: 300_000, jitter: 0.2 };
const execution: JobExecution = {
  attempt: 1,
  maxAttempts: 3,
  queueTimeoutSeconds: 300,
  priority: 5,
  cancellable: true,
  retry,
};
const error = (code: string, retryRecommended: boolean): JobError => ({
  code,
  message: "timeout connection refused",
  recoverable: retryRecommended,
  retryRecommended,
});

describe("retry", () => {
  it("doubles the delay per attempt, up to the longest", () => {
    expect([1, 2, 3, 9, 10, 50].map((attempt) => retryDelayMs(retry, attempt, 0.5))).toEqual([
      1_000, 2_000, 4_000, 256_000, 300_000, 300_000,
    ]);
  });

  it("moves the delay by no more than the jitter", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (n, random) => {
          const base = retryDelayMs({ ...retry, jitter: 0 }, n, random);
          const delay = retryDelayMs(retry, n, random);
          expect(Math.abs(delay - base)).toBeLessThanOrEqual(base * 0.2 + 1);
        },
      ),
    );
  });

  it("decides by the code's default, never by words in the message", () => {
    expect(isRetried(error("EXECUTION_ERROR", true), execution, 1)).toBe(true);
    expect(isRetried(error("NON_ZERO_EXIT", false), execution, 1)).toBe(false);
  });

  it("lets the job name the codes that are tried again", () => {
    const named = { ...execution, retry: { ...retry, on: ["NON_ZERO_EXIT"] } };
    expect(isRetried(error("NON_ZERO_EXIT", false), named, 1)).toBe(true);
    expect(isRetried(error("EXECUTION_ERROR", true), named, 1)).toBe(false);
  });

  it("stops when the attempts are used up", () => {
    expect(isRetried(error("EXECUTION_ERROR", true), execution, 3)).toBe(false);
  });
});
