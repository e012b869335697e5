/** Keeps the first bytes of an output and counts the rest. */
export interface OutputCapture {
  add(chunk: Uint8Array): void;
  /** What was kept, without a UTF-8 character that the limit cuts */
  bytes(): Buffer;
  /** Bytes not in `bytes` */
  droppedBytes(): number;
}

/** @param maxBytes bytes to keep */
export function outputCapture(maxBytes: number): OutputCapture {
  const chunks: Uint8Array[] = [];
  let keptBytes = 0;
  let totalBytes = 0;

  /** Bytes that end on a whole character. */
  const kept = (): Buffer => {
    const all = Buffer.concat(chunks);
    return totalBytes > keptBytes ? all.subarray(0, wholeCharacters(all)) : all;
  };

  return {
    add(chunk) {
      totalBytes += chunk.length;
      const room = maxBytes - keptBytes;
      if (room <= 0) return;
      const part = chunk.subarray(0, room);
      chunks.push(part);
      keptBytes += part.length;
    },
    bytes: kept,
    droppedBytes: () => totalBytes - kept().length,
  };
}

/** Length without a UTF-8 character that is begun at the end and not complete. */
function wholeCharacters(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) break;
    if (byte < 0xc0) continue;
    if (byte >= 0xf8) break;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return length > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}
