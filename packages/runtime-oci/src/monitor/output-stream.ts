/** The end of an output stream that is filled from a connection. */
export interface OutputStream extends AsyncIterable<Uint8Array> {
  push(chunk: Buffer): void;
  /** @param error why nothing more comes, when that is not the process's doing */
  end(error?: Error): void;
}

export interface OutputStreamOptions {
  /** Says that so many bytes were read, so that as many more may come */
  readonly onRead: (bytes: number) => void;
  /** Says that nobody will read on */
  readonly onLeave: () => void;
}

/** Acknowledged together, so that not every small chunk costs a message */
const creditBytes = 65_536;

/**
 * Holds what has come and was not read yet. Its bound is the sender's: it sends no more than a window until it hears that
 * some was read.
 */
export function outputStream({ onRead, onLeave }: OutputStreamOptions): OutputStream {
  const chunks: Buffer[] = [];
  let ended: { readonly error?: Error | undefined } | undefined;
  let isTaken = false;
  let hasLeft = false;
  let unacknowledged = 0;
  let wake: (() => void) | undefined;

  const iterator: AsyncIterator<Uint8Array> = {
    async next() {
      for (;;) {
        const chunk = chunks.shift();
        if (chunk !== undefined) {
          unacknowledged += chunk.length;
          if (unacknowledged >= creditBytes || chunks.length === 0) {
            onRead(unacknowledged);
            unacknowledged = 0;
          }
          return { done: false, value: chunk };
        }
        if (ended?.error !== undefined) throw ended.error;
        if (ended !== undefined || hasLeft) return { done: true, value: undefined };
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        await promise;
      }
    },
    async return() {
      if (!hasLeft && ended === undefined) onLeave();
      hasLeft = true;
      chunks.length = 0;
      wake?.();
      return { done: true, value: undefined };
    },
  };
  return {
    push(chunk) {
      if (hasLeft || ended !== undefined) return;
      chunks.push(chunk);
      wake?.();
    },
    end(error) {
      ended ??= { error };
      wake?.();
    },
    [Symbol.asyncIterator]() {
      if (isTaken) throw new TypeError("An output stream can be read only once.");
      isTaken = true;
      return iterator;
    },
  };
}

/** A stream that was not asked for. */
export function emptyStream(): OutputStream {
  const stream = outputStream({ onRead: () => undefined, onLeave: () => undefined });
  stream.end();
  return stream;
}
