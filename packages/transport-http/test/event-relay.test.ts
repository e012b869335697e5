import { setImmediate as turn } from "node:timers/promises";
import { silentLogger, type JobEvent } from "@longshore/core";
import { expect, it } from "vitest";
import { backoff } from "../src/polling/backoff.ts";
import { eventRelay } from "../src/polling/event-relay.ts";
import { sleep } from "../src/polling/sleep.ts";

function eventOf(sequence: number): JobEvent {
  return {
    jobId: "job-1",
    kind: "log",
    timestamp: "2026-01-01T00:00:00.000Z",
    sequence,
    attempt: 1,
    workerId: "w1",
    phase: "log",
    message: `line ${sequence}`,
  };
}

it("the rest of a job's events is taken when none is under way, also of those that left meanwhile", async () => {
  const steps: string[] = [];
  const first = Promise.withResolvers<void>();
  let reports = 0;
  await using relay = eventRelay({
    report: async (events) => {
      reports += 1;
      await (reports === 1 ? first.promise : turn());
      steps.push(...events.map(({ event }) => String(event["message"])));
    },
    backoff: backoff({ firstMs: 1, capMs: 1 }),
    sleep,
    logger: silentLogger,
  });
  relay.add("job-1~a", eventOf(0));
  relay.add("job-1~a", eventOf(1));
  const taking = relay.takeRest("job-1~a").then((rest) => {
    steps.push(`rest of ${rest.length}`);
  });
  first.resolve();
  await taking;
  expect(steps).toEqual(["line 0", "line 1", "rest of 0"]);
});
