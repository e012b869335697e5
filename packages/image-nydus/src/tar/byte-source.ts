import type { Abortable } from "@longshore/core";

/** Reads a stream of chunks as a stream of bytes, and copies none that lie in one chunk. */
export interface ByteSource {
  /** Bytes read so far */
  readonly offset: number;
  /** The next bytes, if that many are here already; else read them with {@link ByteSource.read}. */
  readNow(size: number): Buffer | undefined;
  /** The next bytes, fewer than asked for only at the end of the stream. */
  read(size: number): Promise<Buffer>;
  /** What is here of the next bytes, at least one and at most `max`; empty only at the end of the stream. */
  readSome(max: number): Promise<Buffer>;
  /** Passes over bytes and resolves to how many there were: fewer than asked for only at the end of the stream. */
  skip(size: number): Promise<number>;
  /** Ends the stream of chunks. Idempotent. */
  close(): Promise<void>;
}

const nothing: Buffer = Buffer.alloc(0);

/** Begins to read; aborting rejects a read that waits, with the signal's reason. */
export function byteSource(chunks: AsyncIterable<Uint8Array>, options: Abortable = {}): ByteSource {
  const { signal } = options;
  const iterator = chunks[Symbol.asyncIterator]();
  let chunk: Buffer = nothing;
  let position = 0;
  let chunkStart = 0;
  let ended = false;

  /** Makes sure that a byte is here; false at the end of the stream. */
  async function fill(): Promise<boolean> {
    while (position === chunk.length) {
      if (ended) return false;
      const next = await abortable(() => iterator.next(), signal);
      chunkStart += chunk.length;
      position = 0;
      ended = next.done === true;
      chunk = ended ? nothing : asBuffer(next.value);
    }
    return true;
  }

  function readNow(size: number): Buffer | undefined {
    if (chunk.length - position < size) return undefined;
    const bytes = chunk.subarray(position, position + size);
    position += size;
    return bytes;
  }

  async function readSome(max: number): Promise<Buffer> {
    if (max === 0 || !(await fill())) return nothing;
    return readNow(Math.min(max, chunk.length - position)) ?? nothing;
  }

  return {
    get offset() {
      return chunkStart + position;
    },
    readNow,
    readSome,
    async read(size) {
      const whole = readNow(size);
      if (whole !== undefined) return whole;
      const parts: Buffer[] = [];
      for (let missing = size; missing > 0;) {
        const part = await readSome(missing);
        if (part.length === 0) break;
        parts.push(part);
        missing -= part.length;
      }
      return Buffer.concat(parts);
    },
    async skip(size) {
      let passed = 0;
      while (passed < size) {
        const { length } = await readSome(size - passed);
        if (length === 0) break;
        passed += length;
      }
      return passed;
    },
    async close() {
      if (ended) return;
      ended = true;
      const closing = Promise.resolve(iterator.return?.());
      // A source that hangs, which is why it was aborted, must not hang its reader too.
      if (signal?.aborted === true) closing.catch(() => undefined);
      else await closing;
    },
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

async function abortable<T>(start: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await start();
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  start().then(resolve, reject);
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
