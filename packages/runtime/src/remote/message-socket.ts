import type { Socket } from "node:net";
import { LongshoreError } from "@longshore/core";
import { decodeMessage, encodeMessage, maxMessageBytes, type Message } from "./message.ts";

/** A connection that carries messages instead of bytes. */
export interface MessageSocket {
  /** Sends; resolves when more should be sent. A connection that is gone takes nothing. */
  send(message: Message): Promise<void>;
  /** Calls back for each message, in order, and once at the end: with an error unless the other side ended it. */
  listen(onMessage: (message: Message) => void, onEnd: (error?: Error) => void): void;
  /** Whether nothing can be sent any more */
  isClosed(): boolean;
  close(): void;
  /** Whether an idle connection keeps this process alive. @default true */
  setKeepsAlive(keepsAlive: boolean): void;
}

export function messageSocket(socket: Socket): MessageSocket {
  let pending: Buffer[] = [];
  let pendingBytes = 0;

  /** The first `length` bytes that wait, taken out. */
  const take = (length: number): Buffer => {
    const all = pending.length === 1 ? (pending[0] ?? Buffer.alloc(0)) : Buffer.concat(pending);
    pending = all.length > length ? [all.subarray(length)] : [];
    pendingBytes = all.length - length;
    return all.subarray(0, length);
  };

  return {
    send(message) {
      if (socket.destroyed || !socket.writable) return Promise.resolve();
      if (socket.write(encodeMessage(message))) return Promise.resolve();
      return new Promise((resolve) => {
        const done = (): void => {
          socket.off("drain", done).off("close", done);
          resolve();
        };
        socket.once("drain", done).once("close", done);
      });
    },
    listen(onMessage, onEnd) {
      let bodyLength: number | undefined;
      let failure: Error | undefined;
      const read = (chunk: Buffer): void => {
        pending.push(chunk);
        pendingBytes += chunk.length;
        for (;;) {
          if (bodyLength === undefined) {
            if (pendingBytes < 4) return;
            bodyLength = take(4).readUInt32BE();
            if (bodyLength > maxMessageBytes) {
              throw new LongshoreError("LIMIT_EXCEEDED", "A message is too long.", {
                details: { bytes: bodyLength, maxMessageBytes },
              });
            }
          }
          if (pendingBytes < bodyLength) return;
          const body = take(bodyLength);
          bodyLength = undefined;
          onMessage(decodeMessage(body));
        }
      };
      socket.on("data", (chunk: Buffer) => {
        try {
          read(chunk);
        } catch (error) {
          failure = error instanceof Error ? error : new Error(String(error));
          socket.destroy();
        }
      });
      socket.on("error", (error) => (failure ??= error));
      socket.once("close", () => onEnd(failure));
    },
    isClosed: () => socket.destroyed || !socket.writable,
    close: () => void socket.destroy(),
    setKeepsAlive(keepsAlive) {
      if (keepsAlive) socket.ref();
      else socket.unref();
    },
  };
}
