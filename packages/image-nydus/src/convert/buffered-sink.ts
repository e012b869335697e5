import type { ByteSink } from "../rafs/byte-sink.ts";

/** A sink that hands on its bytes in large pieces. */
export interface BufferedSink extends ByteSink {
  /** Hands on what is left. */
  flush(): Promise<void>;
}

/**
 * Gathers small writes: most files of an image are small, and a write of its own for each would cost more than its bytes.
 *
 * @param size bytes that are gathered. @default 1 MiB
 */
export function bufferedSink(target: ByteSink, size = 1_048_576): BufferedSink {
  const buffer = Buffer.allocUnsafe(size);
  let used = 0;

  async function flush(): Promise<void> {
    if (used === 0) return;
    const length = used;
    used = 0;
    await target.write(buffer.subarray(0, length));
  }

  return {
    async write(bytes) {
      if (used + bytes.length > size) await flush();
      if (bytes.length >= size) {
        await target.write(bytes);
        return;
      }
      bytes.copy(buffer, used);
      used += bytes.length;
    },
    flush,
  };
}
