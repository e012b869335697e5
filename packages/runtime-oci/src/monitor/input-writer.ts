import type { InputWriter } from "@longshore/core";

/** What may be on its way to a process that does not read. */
const windowBytes = 262_144;
const chunkBytes = 65_536;

export interface ProcessInput extends InputWriter {
  /** So many bytes were taken by the process, or dropped */
  onTaken(bytes: number): void;
  /** Nothing is read any more: what waits, and what comes, is dropped */
  close(): void;
}

export interface ProcessInputOptions {
  readonly send: (chunk: Buffer) => void;
  readonly sendEnd: () => void;
}

/** Writes the input of a process, as fast as it reads. */
export function processInput({ send, sendEnd }: ProcessInputOptions): ProcessInput {
  let room = windowBytes;
  let isClosed = false;
  let hasEnded = false;
  let wake: (() => void) | undefined;
  let order: Promise<void> = Promise.resolve();

  const writeAll = async (bytes: Buffer): Promise<void> => {
    let rest = bytes;
    while (rest.length > 0) {
      // What nobody reads any more is dropped.
      if (isClosed) return;
      if (room === 0) {
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        await promise;
        continue;
      }
      const chunk = rest.subarray(0, Math.min(room, chunkBytes));
      rest = rest.subarray(chunk.length);
      room -= chunk.length;
      send(chunk);
    }
  };
  return {
    async write(chunk) {
      if (hasEnded) return;
      // Copied: the caller may use its bytes again while these wait.
      const bytes = Buffer.from(chunk);
      order = order.then(async () => writeAll(bytes));
      await order;
    },
    async end() {
      if (hasEnded) return;
      hasEnded = true;
      order = order.then(() => {
        if (!isClosed) sendEnd();
      });
      await order;
    },
    onTaken(bytes) {
      room += bytes;
      wake?.();
    },
    close() {
      isClosed = true;
      wake?.();
    },
  };
}

/** For a process without an input: takes nothing. */
export function noInput(): ProcessInput {
  const input = processInput({ send: () => undefined, sendEnd: () => undefined });
  input.close();
  return input;
}
