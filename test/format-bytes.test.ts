import { describe, expect, it } from "vitest";
import { formatBytes, formatPercent } from "../packages/cli/src/format-bytes.ts";

describe("bytes for people", () => {
  it.each([
    [0, "0 B"],
    [1, "1 B"],
    [999, "999 B"],
    [1_000, "1.00 kB"],
    [9_994, "9.99 kB"],
    [9_996, "10.0 kB"],
    [99_940, "99.9 kB"],
    [99_960, "100 kB"],
    [999_499, "999 kB"],
    [999_500, "1.00 MB"],
    [24_600_000, "24.6 MB"],
    [1_500_000_000, "1.50 GB"],
    [2 ** 53, "9.01 PB"],
  ])("%d are %s", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});

describe("a share", () => {
  it("has a digit behind the point, and nothing of nothing is none", () => {
    expect(formatPercent(1, 3)).toBe("33.3 %");
    expect(formatPercent(0, 0)).toBe("0.0 %");
  });
});
