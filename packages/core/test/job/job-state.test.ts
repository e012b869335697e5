import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { assertTransition, canTransition, isTerminal, jobStates } from "../../src/index.ts";

const anyState = fc.constantFrom(...jobStates);

describe("job states", () => {
  it("have exactly the steps of the protocol", () => {
    const steps = jobStates.flatMap((from) =>
      jobStates.filter((to) => canTransition(from, to)).map((to) => `${from} ${to}`),
    );
    expect(steps).toEqual([
      "pending queued",
      "pending failed",
      "pending cancelled",
      "queued assigned",
      "queued failed",
      "queued timeout",
      "queued cancelled",
      "assigned queued",
      "assigned running",
      "assigned failed",
      "assigned timeout",
      "assigned cancelled",
      "assigned abandoned",
      "running queued",
      "running cancelling",
      "running completed",
      "running failed",
      "running timeout",
      "running cancelled",
      "running abandoned",
      "cancelling completed",
      "cancelling failed",
      "cancelling timeout",
      "cancelling cancelled",
      "cancelling abandoned",
    ]);
  });

  it("refuse every other step with the states that are allowed", () => {
    fc.assert(
      fc.property(anyState, anyState, (from, to) => {
        if (canTransition(from, to)) {
          assertTransition(from, to);
          return;
        }
        expect(() => {
          assertTransition(from, to);
        }).toThrow(expect.objectContaining({ code: "INVALID_STATE_TRANSITION" }));
      }),
    );
  });

  it("let no path leave a terminal state, and every path reach one", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 50 }), (choices) => {
        let state: (typeof jobStates)[number] = "pending";
        for (const choice of choices) {
          const next = jobStates.filter((to) => canTransition(state, to));
          expect(next.length === 0).toBe(isTerminal(state));
          const chosen = next[choice % Math.max(1, next.length)];
          if (chosen === undefined) return;
          state = chosen;
        }
      }),
    );
    const reached = new Set<string>(jobStates.filter(isTerminal));
    for (let round = 0; round < jobStates.length; round += 1) {
      for (const from of jobStates) {
        if (jobStates.some((to) => canTransition(from, to) && reached.has(to))) reached.add(from);
      }
    }
    expect(reached.size).toBe(jobStates.length);
  });
});
