const table = new Uint32Array(256).map((_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1)
    value = value & 1 ? (value >>> 1) ^ 0x82f6_3b78 : value >>> 1;
  return value;
});

/**
 * The CRC-32C register after the bytes. It neither starts nor ends inverted: pass `0xffffffff` and invert the result for
 * the usual CRC-32C; EROFS leaves out the final inversion.
 */
export function crc32c(bytes: Uint8Array, register = 0xffff_ffff): number {
  let value = register;
  for (const byte of bytes) value = (value >>> 8) ^ (table[(value ^ byte) & 0xff] ?? 0);
  return value >>> 0;
}
