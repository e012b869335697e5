import { erofsFault } from "./erofs-fault.ts";

/** An unsigned 64-bit little-endian number that must fit 53 bits, as every size and offset of a real image does. */
export function readU64(bytes: Buffer, at: number): number {
  const value = bytes.readUInt32LE(at + 4) * 0x1_0000_0000 + bytes.readUInt32LE(at);
  if (!Number.isSafeInteger(value)) {
    throw erofsFault("number-range", `the number at byte ${at} exceeds 53 bits`);
  }
  return value;
}

/** Writes an unsigned number of up to 53 bits as 64 bits, little-endian. */
export function writeU64(target: Buffer, value: number, at: number): void {
  target.writeUInt32LE(value % 0x1_0000_0000, at);
  target.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4);
}
