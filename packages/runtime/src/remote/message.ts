import { decode, encode } from "@msgpack/msgpack";
import { LongshoreError } from "@longshore/core";
import type { WireError } from "./wire-error.ts";

/** Streams of a call: those of a process, or the two directions of a forwarded port, as the server sees them. */
export type ChannelName = "stdin" | "stdout" | "stderr";

/**
 * What travels between a runtime and its clients in other processes. A connection carries one call at a time; its streams,
 * and what is asked of a session, belong to that call.
 */
export type Message =
  | { readonly kind: "hello"; readonly protocol: number; readonly methods: readonly string[] }
  | { readonly kind: "call"; readonly method: string; readonly request: unknown }
  | { readonly kind: "abort" }
  | { readonly kind: "result"; readonly value: unknown }
  | { readonly kind: "error"; readonly error: WireError }
  | { readonly kind: "item"; readonly value: unknown }
  | { readonly kind: "data"; readonly channel: ChannelName; readonly bytes: Uint8Array }
  | { readonly kind: "end"; readonly channel: ChannelName; readonly error?: WireError | undefined }
  /** So much was taken; none: so was the end */
  | { readonly kind: "credit"; readonly channel: ChannelName; readonly bytes: number }
  | { readonly kind: "exit"; readonly value?: unknown; readonly error?: WireError | undefined }
  | {
      readonly kind: "ask";
      readonly id: number;
      readonly action: "resize" | "kill" | "dispose";
      readonly argument?: unknown;
    }
  | { readonly kind: "answer"; readonly id: number; readonly error?: WireError | undefined };

/** Changes with every message that an older side would not understand. */
export const protocolVersion = 2;

/** Longer messages are refused; streams are cut into pieces far below it. */
export const maxMessageBytes = 33_554_432;

const kinds: ReadonlySet<unknown> = new Set<Message["kind"]>([
  "hello",
  "call",
  "abort",
  "result",
  "error",
  "item",
  "data",
  "end",
  "credit",
  "exit",
  "ask",
  "answer",
]);

/** Its length in 4 bytes, big-endian, then MessagePack; 64-bit integers are `bigint` on both sides. */
export function encodeMessage(message: Message): Buffer {
  const body = encode(message, { useBigInt64: true, ignoreUndefined: true });
  if (body.length > maxMessageBytes) {
    throw new LongshoreError("LIMIT_EXCEEDED", `A message to or from the runtime is too long.`, {
      details: { bytes: body.length, maxMessageBytes },
    });
  }
  const framed = Buffer.allocUnsafe(4 + body.length);
  framed.writeUInt32BE(body.length);
  framed.set(body, 4);
  return framed;
}

/** @throws {LongshoreError} `SERIALIZATION_ERROR` for what is not a message */
export function decodeMessage(body: Uint8Array): Message {
  let value: unknown;
  try {
    value = decode(body, { useBigInt64: true });
  } catch (error) {
    throw new LongshoreError("SERIALIZATION_ERROR", "A message is not MessagePack.", {
      cause: error,
    });
  }
  if (isMessage(value)) return value;
  throw new LongshoreError("SERIALIZATION_ERROR", "A message is of no known kind.");
}

/** The other end is this same module, run by the same user: its kind tells the rest. */
function isMessage(value: unknown): value is Message {
  return typeof value === "object" && value !== null && "kind" in value && kinds.has(value.kind);
}
