import { isLongshoreError, LongshoreError } from "@longshore/core/wire";
import { EventSourceParserStream } from "eventsource-parser/stream";
import type { HttpCall } from "./http-call.ts";

export interface StreamedMessage {
  readonly event: string;
  readonly id: number | undefined;
  readonly data: string;
}

export interface ReadStreamOptions {
  readonly call: HttpCall;
  readonly target: string;
  /** Number of the last message that is known. @default -1 */
  readonly afterSequence?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const firstPauseMs = 500;
const maxPauseMs = 10_000;
/** A stream shows every 15 s that it lives; one that is silent for so long is dead */
const silenceMs = 45_000;

/**
 * The messages of a stream until `done`, each once. A stream that breaks off is opened again behind the last message
 * that came, for as long as the signal allows; what the worker refuses is thrown.
 */
export async function* readStream(
  options: ReadStreamOptions,
): AsyncGenerator<StreamedMessage, void, undefined> {
  const { call, target, signal } = options;
  let after = options.afterSequence ?? -1;
  let pauseMs = firstPauseMs;
  for (;;) {
    const silence = new AbortController();
    try {
      const response = await call(target, {
        headers: {
          accept: "text/event-stream",
          ...(after >= 0 && { "last-event-id": String(after) }),
        },
        signal: signal === undefined ? silence.signal : AbortSignal.any([signal, silence.signal]),
      });
      for await (const message of messagesOf(response, silence)) {
        pauseMs = firstPauseMs;
        if (message.id !== undefined) {
          if (message.id <= after) continue;
          after = message.id;
        }
        yield message;
        if (message.event === "done") return;
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (isRefusal(error)) throw error;
      if (isLongshoreError(error) && error.retryAfterMs !== undefined) {
        pauseMs = Math.max(pauseMs, error.retryAfterMs);
      }
    } finally {
      silence.abort();
    }
    await pause(pauseMs * (0.5 + Math.random() / 2), signal);
    pauseMs = Math.min(pauseMs * 2, maxPauseMs);
  }
}

async function* messagesOf(
  response: Response,
  silence: AbortController,
): AsyncGenerator<StreamedMessage, void, undefined> {
  if (response.body === null) return;
  let timer = setTimeout(() => {
    silence.abort();
  }, silenceMs);
  const alive = new TransformStream<string, string>({
    transform(chunk, controller) {
      clearTimeout(timer);
      timer = setTimeout(() => {
        silence.abort();
      }, silenceMs);
      controller.enqueue(chunk);
    },
  });
  const reader = response.body
    .pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)
    .pipeThrough(alive)
    .pipeThrough(new EventSourceParserStream())
    .getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const id = value.id === undefined ? Number.NaN : Number(value.id);
      yield {
        event: value.event ?? "message",
        id: Number.isSafeInteger(id) ? id : undefined,
        data: value.data,
      };
    }
  } finally {
    clearTimeout(timer);
    await reader.cancel().catch(() => undefined);
  }
}

/** What the worker said no to, as against what broke on the way. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof LongshoreError)) return false;
  const status = error.details?.["status"];
  return typeof status === "number" && status < 500 && status !== 429 && status !== 408;
}

function pause(timeMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, timeMs);
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
  });
}
