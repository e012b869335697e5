/** Keeps the first bytes of an output, and the last ones, and counts the rest. */
export interface OutputCapture {
  add(chunk: Uint8Array): void;
  /** The first bytes, without a UTF-8 character that the limit cuts */
  bytes(): Buffer;
  /** Bytes not in `bytes` */
  droppedBytes(): number;
  /** The last 4,096 bytes of all that came, or fewer, without a UTF-8 character that the limit cuts */
  tail(): string;
}

const tailBytes = 4_096;

/** @param maxBytes bytes to keep of the beginning */
export function outputCapture(maxBytes: number): OutputCapture {
  const chunks: Uint8Array[] = [];
  const recent: Uint8Array[] = [];
  let keptBytes = 0;
  let recentBytes = 0;
  let totalBytes = 0;

  /** Bytes that end on a whole character. */
  const kept = (): Buffer => {
    const all = Buffer.concat(chunks);
    return totalBytes > keptBytes ? all.subarray(0, wholeCharacters(all)) : all;
  };

  const remember = (chunk: Uint8Array): void => {
    recent.push(chunk);
    recentBytes += chunk.length;
    for (let first = recent[0]; first !== undefined; first = recent[0]) {
      if (recentBytes - first.length < tailBytes) return;
      recentBytes -= first.length;
      recent.shift();
    }
  };

  return {
    add(chunk) {
      if (chunk.length === 0) return;
      totalBytes += chunk.length;
      remember(chunk);
      const room = maxBytes - keptBytes;
      if (room <= 0) return;
      const part = chunk.subarray(0, room);
      chunks.push(part);
      keptBytes += part.length;
    },
    bytes: kept,
    droppedBytes: () => totalBytes - kept().length,
    tail() {
      const end = Buffer.concat(recent).subarray(-tailBytes);
      return end.subarray(totalBytes > end.length ? brokenStart(end) : 0).toString("utf8");
    },
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

/** Bytes at the start that belong to a character begun before it. */
function brokenStart(bytes: Buffer): number {
  const start = bytes.subarray(0, 3).findIndex((byte) => (byte & 0xc0) !== 0x80);
  return start === -1 ? Math.min(3, bytes.length) : start;
}
