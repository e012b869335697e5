import fc from "fast-check";
import { expect, it } from "vitest";
import { decodeTopicId, eventTopic, splitTopic } from "../../src/events/event-topic.ts";

it("gives back any id, and never lets it reach out of its part of the topic", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }), (id) => {
      const [source, part, event] = splitTopic(eventTopic("job", id, "running"));
      expect([source, decodeTopicId(part), event]).toEqual(["job", id, "running"]);
    }),
  );
});

it("gives different ids different topics", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (one, other) => {
      fc.pre(one !== other);
      expect(eventTopic("job", one, "x")).not.toBe(eventTopic("job", other, "x"));
    }),
  );
});

it("encodes what has a meaning in a topic", () => {
  expect(eventTopic("job", "a.b%c*", "running")).toBe("job.a%2Eb%25c%2A.running");
});

it("takes ids of 128 characters, whatever they are", () => {
  expect(splitTopic(eventTopic("job", ".".repeat(128), "running"))).toHaveLength(3);
});

it("shows a part that was not encoded here as it is", () => {
  expect(decodeTopicId("100%")).toBe("100%");
});
