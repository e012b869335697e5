import type { ByteSink } from "../../src/rafs/byte-sink.ts";

/** A sink that keeps everything. */
export function memorySink(): ByteSink & { bytes(): Buffer } {
  const parts: Buffer[] = [];
  return {
    async write(bytes) {
      parts.push(Buffer.from(bytes));
    },
    bytes: () => Buffer.concat(parts),
  };
}
