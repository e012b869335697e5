import { expect, it } from "vitest";
import { formatAge } from "../packages/cli/src/format-age.ts";

it.each([
  [-5_000, "just now"],
  [0, "just now"],
  [59_999, "just now"],
  [60_000, "1 minute ago"],
  [3_599_999, "59 minutes ago"],
  [3_600_000, "1 hour ago"],
  [2 * 86_400_000 - 1, "1 day ago"],
  [400 * 86_400_000, "400 days ago"],
])("says of %d ms that it was %s", (ageMs, text) => {
  expect(formatAge(ageMs)).toBe(text);
});
