import type { Socket } from "node:net";
import { LongshoreError } from "@longshore/core";

/** A message's kind; the letters are the monitor's, see `monitor-processes.ts`. */
export type FrameType = "1" | "2" | "c" | "f" | "m" | "n" | "p" | "x" | "y" | "z";

export interface Connection {
  send(type: string, body?: Buffer | string): void;
  /**
   * Sends a request and waits for its answer.
   *
   * @throws {LongshoreError} `IO_ERROR` when it is refused, `RUNTIME_UNAVAILABLE` when the monitor is gone
   */
  ask(type: "k" | "l" | "s" | "w", words?: readonly number[] | string): Promise<void>;
  /** Resolves when nothing more comes */
  readonly closed: Promise<void>;
  /** Leaves: what was sent before still arrives. Resolves when the connection is gone. */
  close(): Promise<void>;
}

const headerBytes = 5;
/** A monitor closes at once; one that is stopped does not */
const closeTimeoutMs = 2_000;
/** Larger than anything a monitor sends */
const maxFrameBytes = 1_048_576;

/** Messages to and from a monitor: a letter, four bytes of length, the content. */
export function openConnection(
  socket: Socket,
  onFrame: (type: FrameType, body: Buffer) => void,
): Connection {
  const closed = Promise.withResolvers<void>();
  const answers = new Map<number, PromiseWithResolvers<void>>();
  let nextNumber = 1;
  let pending: Buffer = Buffer.alloc(0);

  const answer = (type: "y" | "n", body: Buffer): void => {
    const number = body.readUInt32BE(0);
    const waiting = answers.get(number);
    answers.delete(number);
    if (type === "y") waiting?.resolve();
    else {
      const details = { errno: body.readUInt32BE(4), step: body.subarray(8).toString() };
      const message = `The container's monitor could not ${details.step} (error ${details.errno}).`;
      waiting?.reject(new LongshoreError("IO_ERROR", message, { details }));
    }
  };
  socket.on("data", (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    while (pending.length >= headerBytes) {
      const length = pending.readUInt32BE(1);
      if (length > maxFrameBytes) {
        socket.destroy();
        return;
      }
      if (pending.length < headerBytes + length) return;
      const type = String.fromCodePoint(pending.readUInt8(0)) as FrameType;
      const body = pending.subarray(headerBytes, headerBytes + length);
      pending = pending.subarray(headerBytes + length);
      if (type === "y" || type === "n") answer(type, body);
      else onFrame(type, body);
    }
  });
  // It may have been held until somebody listens.
  socket.resume();
  // A monitor that is gone shows as the end; whoever waits is told by that.
  socket.on("error", () => undefined);
  socket.on("close", () => {
    for (const waiting of answers.values()) waiting.reject(monitorGone());
    answers.clear();
    closed.resolve();
  });

  const send = (type: string, body: Buffer | string = ""): void => {
    if (socket.destroyed) return;
    const content = Buffer.from(body);
    const header = Buffer.alloc(headerBytes);
    header.write(type, "latin1");
    header.writeUInt32BE(content.length, 1);
    socket.write(Buffer.concat([header, content]));
  };
  return {
    send,
    async ask(type, words = []) {
      if (socket.destroyed) throw monitorGone();
      const number = nextNumber++;
      const waiting = Promise.withResolvers<void>();
      answers.set(number, waiting);
      const head = Buffer.alloc(4);
      head.writeUInt32BE(number);
      send(
        type,
        Buffer.concat([head, typeof words === "string" ? Buffer.from(words) : shorts(words)]),
      );
      await waiting.promise;
    },
    closed: closed.promise,
    async close() {
      // Destroyed at once it could take with it what the monitor has not read yet.
      socket.end();
      const impatience = setTimeout(() => socket.destroy(), closeTimeoutMs);
      await closed.promise;
      clearTimeout(impatience);
    },
  };
}

/** The monitor ended without saying how the process did. */
export function monitorGone(): LongshoreError {
  return new LongshoreError("RUNTIME_UNAVAILABLE", "The container's monitor is gone.");
}

function shorts(words: readonly number[]): Buffer {
  const buffer = Buffer.alloc(words.length * 2);
  for (const [index, word] of words.entries()) buffer.writeUInt16BE(word, index * 2);
  return buffer;
}
