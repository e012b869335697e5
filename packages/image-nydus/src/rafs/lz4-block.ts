import { rafsFault } from "./rafs-fault.ts";

const minMatch = 4;

/**
 * Decodes a raw LZ4 block (no frame, no size in front).
 *
 * @param size uncompressed bytes, exactly
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when the block is damaged or of another size
 */
export function decodeLz4Block(block: Buffer, size: number): Buffer {
  const output = Buffer.alloc(size);
  let from = 0;
  let to = 0;

  const byte = (): number => {
    const value = block[from];
    if (value === undefined) throw damaged("it ends too early");
    from += 1;
    return value;
  };
  const length = (nibble: number): number => {
    if (nibble < 15) return nibble;
    let total = nibble;
    for (let more = 255; more === 255; total += more) more = byte();
    return total;
  };

  while (from < block.length) {
    const token = byte();
    const literals = length(token >>> 4);
    if (from + literals > block.length || to + literals > size)
      throw damaged("its literals are too long");
    block.copy(output, to, from, from + literals);
    from += literals;
    to += literals;
    // The last sequence has literals only.
    if (from === block.length) break;
    const distance = byte() | (byte() << 8);
    const match = length(token & 15) + minMatch;
    if (distance === 0 || distance > to || to + match > size)
      throw damaged("a match is out of range");
    copyMatch(output, to, { distance, match });
    to += match;
  }
  if (to !== size) throw damaged(`it has ${to} bytes in place of ${size}`);
  return output;
}

function copyMatch(
  output: Buffer,
  to: number,
  { distance, match }: { readonly distance: number; readonly match: number },
): void {
  if (distance >= match) {
    output.copyWithin(to, to - distance, to - distance + match);
    return;
  }
  // The match overlaps what it writes, which repeats the last `distance` bytes.
  output.fill(output.subarray(to - distance, to), to, to + match);
}

function damaged(why: string): Error {
  return rafsFault("chunk-data", `an LZ4 block is damaged: ${why}`);
}
