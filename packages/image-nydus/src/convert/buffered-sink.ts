import type { ByteSink } from "../rafs/byte-sink.ts";

/** A sink that hands on its bytes in large pieces. */
export interface BufferedSink extends ByteSink {
  /** Hands on what is left, and waits until all is written. */
  flush(): Promise<void>;
}

/**
 * Gathers small writes: most files of an image are small, and a write of its own for each would cost more than its bytes.
 * Gathers the next piece while one is being written; that a write failed is told at one of the next calls.
 *
 * @param size bytes that are gathered; memory is twice that. @default 512 KiB
 */
export function bufferedSink(target: ByteSink, size = 524_288): BufferedSink {
  let gathering = Buffer.allocUnsafeSlow(size);
  let other = Buffer.allocUnsafeSlow(size);
  let used = 0;
  let writing: Promise<void> = Promise.resolve();

  async function handOn(): Promise<void> {
    await writing;
    const bytes = gathering.subarray(0, used);
    [gathering, other] = [other, gathering];
    used = 0;
    writing = target.write(bytes);
    // The next call is told.
    writing.catch(() => undefined);
  }

  return {
    async write(bytes) {
      for (let from = 0; from < bytes.length;) {
        if (used === size) await handOn();
        const copied = bytes.copy(gathering, used, from);
        used += copied;
        from += copied;
      }
    },
    async flush() {
      if (used > 0) await handOn();
      await writing;
    },
  };
}
