import { describe, expect, it } from "vitest";
import { parseSignalName } from "../src/engine/signal-names.ts";

describe("a signal's name", () => {
  it.each([
    ["SIGTERM", "SIGTERM"],
    ["term", "SIGTERM"],
    ["15", "SIGTERM"],
    [" SIGUSR1 ", "SIGUSR1"],
    ["SIGRTMIN+3", "SIGRTMIN+3"],
    ["RTMAX-1", "SIGRTMAX-1"],
    ["34", "SIGRTMIN"],
    ["37", "SIGRTMIN+3"],
  ])("is read from %s", (text, name) => {
    expect(parseSignalName(text)).toBe(name);
  });

  it.each(["", "0", "65", "SIGNONE", "SIGRTMIN-1", "SIGRTMIN+31", "TERM; rm", "toString", "-9"])(
    "is not %j",
    (text) => {
      expect(() => parseSignalName(text)).toThrow(
        expect.objectContaining({ code: "VALIDATION_ERROR" }),
      );
    },
  );
});
