import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isoTime } from "../src/iso-time.ts";

describe("isoTime", () => {
  it("writes what Date writes", () => {
    fc.assert(
      fc.property(fc.date({ noInvalidDate: true }), (date) => {
        expect(isoTime(date.getTime())).toBe(date.toISOString());
        expect(isoTime(date.getTime() + 0.25)).toBe(date.toISOString());
      }),
    );
  });

  it("refuses what is not a time", () => {
    expect(() => isoTime(Number.NaN)).toThrow(RangeError);
    expect(() => isoTime(Infinity)).toThrow(RangeError);
  });
});
