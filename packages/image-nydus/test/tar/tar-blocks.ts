import { fromByteString, type ByteString } from "../../src/tree/inode.ts";

/** Fields of a header block, all of them optional and none of them checked: archives may be as wrong as wanted. */
export interface HeaderFields {
  readonly name?: ByteString;
  readonly prefix?: ByteString;
  readonly linkName?: ByteString;
  readonly type?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** @default length of the data */
  readonly size?: number;
  readonly mtime?: number;
  readonly major?: number;
  readonly minor?: number;
  readonly format?: "v7" | "ustar" | "gnu";
  /** Bytes put over all else, by offset; before the checksum is made */
  readonly raw?: Readonly<Record<number, Buffer | string>>;
  /** @default "unsigned" */
  readonly checksum?: "unsigned" | "signed" | "wrong";
}

/** A header block, and behind it the data in whole blocks. */
export function tarEntry(fields: HeaderFields, data: Buffer | string = ""): Buffer {
  const bytes = typeof data === "string" ? fromByteString(data) : data;
  const header = headerBlock({ size: bytes.length, ...fields });
  return Buffer.concat([header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

export function headerBlock(fields: HeaderFields): Buffer {
  const { name = "", linkName = "", type = "0", format = "ustar", checksum = "unsigned" } = fields;
  const block = Buffer.alloc(512);
  block.write(name, 0, 100, "latin1");
  octal(block.subarray(100, 108), fields.mode ?? 0o644);
  octal(block.subarray(108, 116), fields.uid ?? 0);
  octal(block.subarray(116, 124), fields.gid ?? 0);
  octal(block.subarray(124, 136), fields.size ?? 0);
  octal(block.subarray(136, 148), fields.mtime ?? 0);
  block.write(type, 156, 1, "latin1");
  block.write(linkName, 157, 100, "latin1");
  if (format !== "v7") {
    block.write(format === "gnu" ? "ustar  \0" : "ustar\u000000", 257, "latin1");
    octal(block.subarray(329, 337), fields.major ?? 0);
    octal(block.subarray(337, 345), fields.minor ?? 0);
    if (format === "ustar") block.write(fields.prefix ?? "", 345, 155, "latin1");
  }
  for (const [offset, value] of Object.entries(fields.raw ?? {})) {
    (typeof value === "string" ? fromByteString(value) : value).copy(block, Number(offset));
  }
  block.fill(" ", 148, 156);
  let sum = checksum === "wrong" ? 1 : 0;
  for (const byte of block) sum += checksum === "signed" && byte > 127 ? byte - 256 : byte;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

function octal(field: Buffer, value: number): void {
  field.write(`${value.toString(8).padStart(field.length - 1, "0")}\0`, "latin1");
}

/** A binary number as GNU tar writes it into a field of that length. */
export function base256(value: bigint, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let rest = BigInt.asUintN(length * 8, value);
  for (let index = length - 1; index >= 0; index--) {
    bytes[index] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  bytes[0] = value < 0n ? 0xff : 0x80;
  return bytes;
}

/** A PAX header with these records in this order; keywords may come more than once. */
export function paxEntry(
  records: readonly (readonly [keyword: ByteString, value: Buffer | ByteString])[],
  type: "x" | "g" | "X" = "x",
): Buffer {
  const body = records.map(([keyword, value]) => paxRecord(keyword, value));
  return tarEntry({ name: "PaxHeader", type }, Buffer.concat(body));
}

export function paxRecord(keyword: ByteString, value: Buffer | ByteString): Buffer {
  const rest = Buffer.concat([
    fromByteString(` ${keyword}=`),
    typeof value === "string" ? fromByteString(value) : value,
    Buffer.from("\n"),
  ]);
  let length = rest.length + 1;
  while (`${length}`.length + rest.length !== length) length = `${length}`.length + rest.length;
  return Buffer.concat([Buffer.from(`${length}`), rest]);
}

/** The end mark of an archive. */
export const endMark: Buffer = Buffer.alloc(1024);

/** The bytes as a stream of chunks of one size. */
export async function* inChunks(
  bytes: Buffer,
  size: number = 65_536,
): AsyncGenerator<Buffer, void, undefined> {
  for (let start = 0; start < bytes.length; start += size)
    yield bytes.subarray(start, start + size);
}
