import { randomBytes } from "node:crypto";
import type { EventEnvelope, PublishOptions } from "./event-bus.ts";
import { decodeTopicId } from "./event-topic.ts";

/** What all events of one topic have in common, worked out once. */
export interface TopicHead {
  readonly topic: string;
  readonly source: string;
  readonly subject: string;
  readonly type: string;
}

export function topicHead(
  topic: string,
  [source, id, event]: readonly [string, string, string],
): TopicHead {
  return { topic, source, subject: decodeTopicId(id), type: `${source}.${event}` };
}

export type EnvelopeMaker = (
  head: TopicHead,
  data: unknown,
  options: PublishOptions | undefined,
) => EventEnvelope;

/** Numbers below this are made text once; an id is then a join of two texts that exist. */
const idsPerBlock = 1_024;
const blockNumbers: readonly string[] = Array.from({ length: idsPerBlock }, (_, number) =>
  number.toString(36).padStart(2, "0"),
);

/**
 * Makes envelopes that are plain objects, cheaply: publishing an event costs less than writing a number as text, so ids
 * are put together from texts that are written once for many events.
 *
 * @param time the time of publishing, RFC 3339
 */
export function envelopeMaker(time: () => string): EnvelopeMaker {
  const instance = randomBytes(12).toString("base64url");
  let block = -1;
  let blockPrefix = "";
  let placeInBlock = idsPerBlock;

  return (head, data, options) => {
    if (placeInBlock === idsPerBlock) {
      block += 1;
      blockPrefix = `${instance}-${block.toString(36)}-`;
      placeInBlock = 0;
    }
    const id = blockPrefix + (blockNumbers[placeInBlock] ?? "");
    placeInBlock += 1;
    return {
      specversion: "1.0",
      id,
      time: time(),
      source: head.source,
      topic: head.topic,
      type: head.type,
      subject: head.subject,
      correlationId: options?.correlationId,
      entityType: options?.entityType,
      data,
    };
  };
}
