import { randomBytes } from "node:crypto";
import type { EventEnvelope, PublishOptions } from "./event-bus.ts";
import { decodeTopicId } from "./event-topic.ts";

/** Ids of this process begin alike and count up: unique, and cheap enough to make one per event. */
const idPrefix = randomBytes(12).toString("base64url");
let lastId = 0;

const noOptions: PublishOptions = {};

/**
 * An envelope whose texts are made when they are first asked for. Most events are looked at by few, and formatting a
 * date costs more than everything else about an event. `toJSON` gives the plain form.
 */
export class LiveEnvelope implements EventEnvelope {
  readonly specversion = "1.0";
  readonly topic: string;
  readonly data: unknown;
  readonly #options: PublishOptions;
  readonly #timeMs: number;
  readonly #number: number;

  constructor(topic: string, data: unknown, options: PublishOptions = noOptions) {
    this.topic = topic;
    this.data = data;
    this.#options = options;
    this.#timeMs = Date.now();
    this.#number = lastId += 1;
  }

  get id(): string {
    return `${idPrefix}-${this.#number}`;
  }
  get time(): string {
    return new Date(this.#timeMs).toISOString();
  }
  get source(): string {
    return this.topic.slice(0, this.topic.indexOf("."));
  }
  get subject(): string {
    return decodeTopicId(
      this.topic.slice(this.topic.indexOf(".") + 1, this.topic.lastIndexOf(".")),
    );
  }
  get type(): string {
    return `${this.source}.${this.topic.slice(this.topic.lastIndexOf(".") + 1)}`;
  }
  get correlationId(): string | undefined {
    return this.#options.correlationId;
  }
  get entityType(): string | undefined {
    return this.#options.entityType;
  }

  toJSON(): EventEnvelope {
    const { specversion, id, time, source, topic, type, subject, data } = this;
    const { correlationId, entityType } = this;
    return {
      specversion,
      id,
      time,
      source,
      topic,
      type,
      subject,
      ...(correlationId !== undefined && { correlationId }),
      ...(entityType !== undefined && { entityType }),
      data,
    };
  }
}
