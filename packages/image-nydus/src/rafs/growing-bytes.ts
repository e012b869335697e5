/** Records of one size in a buffer that grows. */
export interface GrowingBytes {
  /** Room for one more record: zeros, to be filled before the next call */
  append(): Buffer;
  /** All records so far, not copied */
  bytes(): Buffer;
}

/** @param recordSize bytes of each record */
export function growingBytes(recordSize: number): GrowingBytes {
  let buffer = Buffer.alloc(64 * recordSize);
  let used = 0;
  return {
    append() {
      if (used === buffer.length) {
        const bigger = Buffer.alloc(buffer.length * 2);
        buffer.copy(bigger);
        buffer = bigger;
      }
      used += recordSize;
      return buffer.subarray(used - recordSize, used);
    },
    bytes: () => buffer.subarray(0, used),
  };
}
