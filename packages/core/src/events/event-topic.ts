import { LongshoreError } from "../errors/longshore-error.ts";

/** Three times what an id may have: each of its characters may be written as `%XX`. */
const topicPattern = /^[A-Za-z0-9_:@%-]{1,384}\.[A-Za-z0-9_:@%-]{1,384}\.[A-Za-z0-9_:@%-]{1,384}$/;
const unsafe = /[^A-Za-z0-9_:@-]/;
const unsafeAll = /[^A-Za-z0-9_:@-]/gu;

/**
 * The topic `{source}.{id}.{event}`; whatever in the id is not `A-Z a-z 0-9 _ : @ -` is percent-encoded. With `"*"` as
 * the event it is the pattern of all events of that id.
 */
export function eventTopic(source: string, id: string, event: string): string {
  return `${source}.${unsafe.test(id) ? encodeId(id) : id}.${event}`;
}

/** The id as it was before it went into a topic. */
export function decodeTopicId(part: string): string {
  if (!part.includes("%")) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    // Not of our making: better shown as it is than not at all.
    return part;
  }
}

/** Whether a text is a topic. */
export function isTopic(topic: string): boolean {
  return topicPattern.test(topic);
}

/** `VALIDATION_ERROR`, for what is no topic. */
export function topicError(topic: string): LongshoreError {
  return new LongshoreError(
    "VALIDATION_ERROR",
    `"${topic.slice(0, 200)}" is not a topic of the form {source}.{id}.{event}.`,
    { details: { topic: topic.slice(0, 200) } },
  );
}

/** @throws {LongshoreError} `VALIDATION_ERROR` */
export function splitTopic(topic: string): readonly [string, string, string] {
  if (!isTopic(topic)) throw topicError(topic);
  const first = topic.indexOf(".");
  const second = topic.indexOf(".", first + 1);
  return [topic.slice(0, first), topic.slice(first + 1, second), topic.slice(second + 1)];
}

function encodeId(id: string): string {
  return id.replaceAll(unsafeAll, (character) =>
    [...Buffer.from(character)]
      .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`)
      .join(""),
  );
}
