/**
 * The number in a field of a tar header: octal digits, or for big and negative ones a binary number with the top bit of the
 * field set. Blank is 0; `undefined` when it is no number, or one that JavaScript cannot hold exactly.
 */
export function parseTarNumber(field: Buffer): number | undefined {
  const first = field[0] ?? 0;
  if (first >= 0x80) return parseBinary(field, (first & 0x40) !== 0);
  let [start, end] = [0, field.length];
  while (start < end && isBlank(field[start])) start++;
  while (end > start && isBlank(field[end - 1])) end--;
  let value = 0;
  for (; start < end; start++) {
    const byte = field[start] ?? 0;
    // What stands after a NUL or a blank belongs to nobody.
    if (isBlank(byte)) break;
    if (byte < 0x30 || byte > 0x37) return undefined;
    value = value * 8 + (byte - 0x30);
  }
  return Number.isSafeInteger(value) ? value : undefined;
}

/** The first bit is the mark, the second the sign; two's complement. */
function parseBinary(field: Buffer, isNegative: boolean): number | undefined {
  const flip = isNegative ? 0xff : 0;
  let value = 0;
  for (const [index, byte] of field.entries()) {
    value = value * 256 + (index === 0 ? (byte ^ flip) & 0x7f : byte ^ flip);
  }
  if (!Number.isSafeInteger(value)) return undefined;
  return isNegative ? -value - 1 : value;
}

/** A whole decimal number, as PAX headers hold it. */
export function parseDecimal(text: string): number | undefined {
  return /^-?\d{1,16}$/.test(text) ? safe(Number(text)) : undefined;
}

function safe(value: number): number | undefined {
  return Number.isSafeInteger(value) ? value : undefined;
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0;
}
