import { describe, expect, it } from "vitest";
import { LongshoreError, toJobError } from "../../src/index.ts";

describe("toJobError", () => {
  it("keeps what a LongshoreError says", () => {
    const error = new LongshoreError("DISK_FULL", "no room", {
      phase: "writing",
      details: { path: "/data" },
      retryable: true,
      retryAfterMs: 1_500,
      cause: Object.assign(new Error("io"), { code: "ENOSPC" }),
    });
    expect(toJobError(error)).toEqual({
      code: "DISK_FULL",
      message: "no room",
      phase: "writing",
      details: { path: "/data" },
      recoverable: true,
      retryRecommended: true,
      retryAfterSeconds: 1.5,
      causeCode: "ENOSPC",
    });
  });

  it.each([
    ["an error", new Error("plain"), "plain"],
    ["text", "just text", "just text"],
    ["nothing", undefined, "undefined"],
    ["an empty error", new Error(""), "EXECUTION_ERROR"],
    ["what cannot be shown", Object.create(null), "something was thrown that cannot be shown"],
  ])("takes %s", (_what, thrown, message) => {
    expect(toJobError(thrown)).toMatchObject({ code: "EXECUTION_ERROR", message });
  });

  it("can always be written as JSON, whatever a handler put into its error", () => {
    const circle: Record<string, unknown> = {};
    circle["self"] = circle;
    for (const details of [circle, { big: 1n }, { text: "x".repeat(100_000) }]) {
      const error = toJobError(new LongshoreError("EXECUTION_ERROR", "m", { details }));
      expect(JSON.stringify(error).length).toBeLessThan(1_000);
      expect(error.details).toHaveProperty("omitted");
    }
  });

  it("is of bounded size, and has a code", () => {
    const long = toJobError(new LongshoreError("C".repeat(200), "m".repeat(100_000)));
    expect(long.code).toHaveLength(64);
    expect(long.message).toHaveLength(4_000);
    expect(toJobError(new LongshoreError("", "m")).code).toBe("EXECUTION_ERROR");
  });
});
