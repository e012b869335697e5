import { assert, integer, property } from "fast-check";
import { nanosecondsFromMs, nanosecondsToMs } from "@longshore/core";
import { describe, expect, it } from "vitest";

describe("nanoseconds", () => {
  it("keep every millisecond of a date, past and future", () => {
    assert(
      property(integer({ min: -8.64e15, max: 8.64e15 }), (ms) => {
        expect(nanosecondsFromMs(ms)).toBe(BigInt(ms) * 1_000_000n);
        expect(nanosecondsToMs(nanosecondsFromMs(ms))).toBe(ms);
      }),
    );
  });

  it("keep fractions of a millisecond", () => {
    expect(nanosecondsFromMs(1_700_000_000_000.25)).toBe(1_700_000_000_000_250_000n);
    expect(nanosecondsToMs(1_700_000_000_000_250_000n)).toBe(1_700_000_000_000.25);
  });
});
