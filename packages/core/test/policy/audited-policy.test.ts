import { expect, it } from "vitest";
import {
  allowAllPolicy,
  auditedPolicy,
  denyAllPolicy,
  eventObject,
  eventTopic,
  jobObject,
  memoryEventBus,
  type EventEnvelope,
} from "../../src/index.ts";

const request = {
  subject: "local:alice.b",
  domain: "*",
  object: jobObject("default", "disk.inspect"),
  action: "execute",
};

it("tells a denial on the bus, with the request and the decision", async () => {
  await using bus = memoryEventBus();
  await using stream = bus.subscribe(eventTopic("policy", request.subject, "denied"));
  const policy = auditedPolicy(denyAllPolicy(), bus);
  expect(await policy.check(request)).toEqual({ allowed: false });
  for await (const event of stream) {
    expect(event).toMatchObject({ subject: "local:alice.b", type: "policy.denied" });
    expect(event.data).toEqual({ ...request, allowed: false, matchedRule: undefined });
    break;
  }
});

it("says nothing of what was allowed", async () => {
  await using bus = memoryEventBus();
  await using stream = bus.subscribe("**");
  await auditedPolicy(allowAllPolicy(), bus).check(request);
  expect(stream.queuedCount).toBe(0);
});

it.each(["", "x".repeat(10_000), ".".repeat(200)])(
  "tells a denial even when the subject fits no topic",
  async (subject) => {
    await using bus = memoryEventBus();
    await using stream = bus.subscribe("policy.*.denied");
    await auditedPolicy(denyAllPolicy(), bus).check({ ...request, subject });
    const { value }: { value?: EventEnvelope } = await stream[Symbol.asyncIterator]().next();
    expect(value?.data).toMatchObject({ subject });
  },
);

it("names resources as policies know them", () => {
  expect(jobObject("default", "disk.inspect")).toBe("job:default/disk.inspect");
  expect(eventObject("job.j1.running")).toBe("event:job.j1.running");
});
