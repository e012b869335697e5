import type { ChannelName } from "./message.ts";
import type { MessageSocket } from "./message-socket.ts";
import { toWireError, type WireError } from "./wire-error.ts";

/** Bytes of a stream that may be under way or unread; a sender waits for its reader beyond that. */
const windowBytes = 262_144;
const pieceBytes = 65_536;

/** One stream that this side sends. */
export interface OutFlow {
  /** Resolves when all of it has been sent */
  write(bytes: Uint8Array): Promise<void>;
  end(error?: unknown): Promise<void>;
  /** Resolves when the reader has taken all that was sent, or nobody reads any more */
  taken(): Promise<void>;
  /** The reader has taken that much. */
  grant(bytes: number): void;
  /** Nobody reads any more: what waits is dropped, and so is what comes. */
  close(): void;
}

export function outFlow(socket: MessageSocket, channel: ChannelName): OutFlow {
  let room = windowBytes;
  let isOver = false;
  let isClosed = false;
  let wake: (() => void) | undefined;
  let emptied: PromiseWithResolvers<void> | undefined;
  const settleEmptied = (): void => {
    if (!isClosed && room < windowBytes) return;
    emptied?.resolve();
    emptied = undefined;
  };

  return {
    async write(bytes) {
      let offset = 0;
      for (;;) {
        if (isOver || offset >= bytes.length) return;
        if (room === 0) {
          await new Promise<void>((resolve) => (wake = resolve));
          continue;
        }
        const piece = bytes.subarray(offset, offset + Math.min(room, pieceBytes));
        room -= piece.length;
        offset += piece.length;
        await socket.send({ kind: "data", channel, bytes: piece });
      }
    },
    async end(error) {
      if (isOver) return;
      isOver = true;
      const wire: WireError | undefined = error === undefined ? undefined : toWireError(error);
      await socket.send({ kind: "end", channel, error: wire });
    },
    async taken() {
      if (isClosed || room >= windowBytes) return;
      emptied ??= Promise.withResolvers();
      await emptied.promise;
    },
    grant(bytes) {
      room += bytes;
      settleEmptied();
      wake?.();
      wake = undefined;
    },
    close() {
      isOver = true;
      isClosed = true;
      settleEmptied();
      wake?.();
      wake = undefined;
    },
  };
}

/** One stream that this side receives; may be iterated once. */
export interface InFlow extends AsyncIterable<Uint8Array> {
  push(bytes: Uint8Array): void;
  /** The end, or what broke the stream. The first one counts. */
  end(error?: Error): void;
}

/** @param onRead told how much was taken, so that the sender may send more */
export function inFlow(onRead: (bytes: number) => void): InFlow {
  const waiting: Uint8Array[] = [];
  let over: { readonly error?: Error | undefined } | undefined;
  let wake: (() => void) | undefined;
  let isTaken = false;
  let isLeft = false;

  async function* read(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const next = waiting.shift();
        if (next !== undefined) {
          onRead(next.length);
          yield next;
        } else if (over === undefined) {
          await new Promise<void>((resolve) => (wake = resolve));
        } else if (over.error === undefined) {
          return;
        } else {
          throw over.error;
        }
      }
    } finally {
      // Who leaves early lets the rest run through, so that the process does not wait for a reader that is gone.
      isLeft = true;
      for (const left of waiting.splice(0)) onRead(left.length);
    }
  }

  return {
    push(bytes) {
      if (isLeft) {
        onRead(bytes.length);
        return;
      }
      waiting.push(bytes);
      wake?.();
    },
    end(error) {
      over ??= { error };
      wake?.();
    },
    [Symbol.asyncIterator]() {
      if (isTaken) throw new TypeError("an output stream can be iterated once");
      isTaken = true;
      return read();
    },
  };
}
