import { toByteString, type ByteString } from "../tree/inode.ts";
import { parseTarNumber } from "./tar-number.ts";

/** Bytes of a block: headers are one, contents are filled up to whole ones. */
export const blockSize = 512;

/** The fields of one header block. Numbers are parsed when they are asked for: many archives leave unused ones broken. */
export interface TarHeader {
  /** The type flag as a character; `\0` in the oldest archives */
  readonly type: string;
  readonly format: "v7" | "ustar" | "gnu";
  readonly path: ByteString;
  readonly linkPath: ByteString;
  /** `undefined` when the field is no number */
  number(field: NumberField): number | undefined;
  readonly block: Buffer;
}

/** Begin and end in the block */
const numberFields = {
  mode: [100, 108],
  uid: [108, 116],
  gid: [116, 124],
  size: [124, 136],
  mtime: [136, 148],
  devmajor: [329, 337],
  devminor: [337, 345],
} as const;

/** Fields of a header that hold numbers. */
export type NumberField = keyof typeof numberFields;

/** Reads a header block; `undefined` when its checksum is wrong, so that it is none. */
export function parseTarHeader(block: Buffer): TarHeader | undefined {
  if (!hasRightChecksum(block)) return undefined;
  const format = formatOf(block);
  const name = textField(block, 0, 100);
  const prefix = format === "ustar" ? textField(block, 345, prefixEnd(block)) : "";
  return {
    type: String.fromCharCode(block[156] ?? 0),
    format,
    path: prefix === "" ? name : `${prefix}/${name}`,
    linkPath: textField(block, 157, 257),
    number(field) {
      const [start, end] = numberFields[field];
      const isDevice = field === "devmajor" || field === "devminor";
      if (isDevice && format === "v7") return 0;
      return parseTarNumber(block.subarray(start, end));
    },
    block,
  };
}

/** Text up to the first NUL. */
export function toText(bytes: Buffer): ByteString {
  const end = bytes.indexOf(0);
  return toByteString(end === -1 ? bytes : bytes.subarray(0, end));
}

function textField(block: Buffer, start: number, end: number): ByteString {
  return block[start] === 0 ? "" : toText(block.subarray(start, end));
}

function formatOf(block: Buffer): TarHeader["format"] {
  const magic = block.toString("latin1", 257, 265);
  if (magic.startsWith("ustar\0")) return "ustar";
  return magic === "ustar  \0" ? "gnu" : "v7";
}

/** Archives of star have times at the end of the prefix field. */
function prefixEnd(block: Buffer): number {
  return block.toString("latin1", 508, 512) === "tar\0" ? 476 : 500;
}

/** The sum of all bytes, those of the checksum itself counted as blanks; some old programs added signed bytes. */
function hasRightChecksum(block: Buffer): boolean {
  const wanted = parseTarNumber(block.subarray(148, 156));
  let unsigned = 0;
  let high = 0;
  for (let index = 0; index < blockSize; index++) {
    const byte = index >= 148 && index < 156 ? 0x20 : (block[index] ?? 0);
    unsigned += byte;
    high += byte >> 7;
  }
  return wanted === unsigned || wanted === unsigned - high * 256;
}
