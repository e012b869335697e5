import { createConnection } from "node:net";
import { LongshoreError } from "@longshore/core";
import { messageSocket, type MessageSocket } from "./message-socket.ts";
import { protocolVersion, type Message } from "./message.ts";
import { fromWireError } from "./wire-error.ts";

/** A connection to a runtime's server that has said hello. */
export interface RemoteConnection {
  readonly socket: MessageSocket;
  /** Names of the methods that the runtime has */
  readonly methods: readonly string[];
  /** Resolves when the connection is gone */
  readonly closed: Promise<void>;
  /** Whoever gets the messages and the end now; replaces the one before */
  receive(onMessage: (message: Message) => void, onEnd: (error: LongshoreError) => void): void;
}

/** @throws {LongshoreError} `RUNTIME_UNAVAILABLE` when nobody serves the path */
export async function connect(path: string, signal?: AbortSignal): Promise<RemoteConnection> {
  signal?.throwIfAborted();
  const raw = createConnection(path);
  const socket = messageSocket(raw);
  let onMessage: (message: Message) => void = () => undefined;
  let onEnd: (error: LongshoreError) => void = () => undefined;
  const hello = Promise.withResolvers<readonly string[]>();
  onMessage = (message) => {
    if (message.kind === "hello" && message.protocol === protocolVersion) {
      hello.resolve(message.methods);
      return;
    }
    hello.reject(unavailable(path, new Error("It speaks another version of the protocol.")));
    socket.close();
  };
  onEnd = hello.reject;
  const closed = Promise.withResolvers<void>();
  socket.listen(
    (message) => onMessage(message),
    (error) => {
      onEnd(unavailable(path, error));
      closed.resolve();
    },
  );
  const onAbort = (): void => {
    hello.reject(signal?.reason);
    socket.close();
  };
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    const methods = await hello.promise;
    return {
      socket,
      methods,
      closed: closed.promise,
      receive(nextMessage, nextEnd) {
        onMessage = nextMessage;
        onEnd = nextEnd;
      },
    };
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

/**
 * Sends a call and waits for its answer. An abort is passed on, and the answer to it waited for: what was half made is
 * undone then.
 *
 * Of the callbacks, `onItem` gets what comes before the answer; `onResult` is called in the very turn in which the answer
 * arrives, so that it can receive what follows.
 *
 * @throws what the runtime throws; the signal's reason; `RUNTIME_UNAVAILABLE` when the connection breaks
 */
export async function call(
  { socket, receive }: RemoteConnection,
  message: { readonly method: string; readonly request?: unknown },
  {
    signal,
    onItem,
    onResult,
  }: {
    readonly signal?: AbortSignal | undefined;
    readonly onItem?: ((value: unknown) => void) | undefined;
    readonly onResult?: (() => void) | undefined;
  } = {},
): Promise<unknown> {
  const answer = Promise.withResolvers<unknown>();
  receive((incoming) => {
    if (incoming.kind === "item") onItem?.(incoming.value);
    else if (incoming.kind === "result") {
      onResult?.();
      answer.resolve(incoming.value ?? undefined);
    } else if (incoming.kind === "error") answer.reject(fromWireError(incoming.error));
  }, answer.reject);
  const onAbort = (): void => void socket.send({ kind: "abort" });
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    await socket.send({ kind: "call", method: message.method, request: message.request ?? null });
    if (signal?.aborted === true) onAbort();
    return await answer.promise;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

function unavailable(path: string, cause?: Error): LongshoreError {
  const reason = cause === undefined ? "the connection was closed" : cause.message;
  return new LongshoreError("RUNTIME_UNAVAILABLE", `The runtime at ${path} is gone: ${reason}`, {
    ...(cause !== undefined && { cause }),
    details: { path },
  });
}
