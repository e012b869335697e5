import { diskError } from "./disk-error.ts";
import { toSize, type DiskReader } from "./disk-reader.ts";

/** What the start of a qcow2 file says. */
export interface Qcow2Header {
  readonly clusterBits: number;
  /** Size of the disk inside, bytes */
  readonly virtualSize: number;
  readonly l1Offset: number;
  readonly l1Entries: number;
  readonly compression: "deflate" | "zstd";
  readonly backingFile?: string | undefined;
  readonly backingFormat?: string | undefined;
}

const magic = 0x51_46_49_fb;
const incompatible = { dataFile: 1n << 2n, compression: 1n << 3n, extendedL2: 1n << 4n };
/** Dirty, corrupt and compression type change nothing for a reader */
const readable = 0b1011n;
const backingFormatExtension = 0xe2_79_2a_ca;

export function isQcow2(start: Buffer): boolean {
  return start.length >= 4 && start.readUInt32BE(0) === magic;
}

/**
 * @param file the image file's own bytes
 * @throws {LongshoreError} `DISK_UNREADABLE` for encrypted images, external data files and newer features
 */
export async function readQcow2Header(file: DiskReader): Promise<Qcow2Header> {
  const header = await file.read(0, Math.min(file.size, 4_096));
  if (header.length < 72 || !isQcow2(header)) throw diskError("The image is not qcow2.");
  const version = header.readUInt32BE(4);
  if (version !== 2 && version !== 3) throw diskError(`qcow2 version ${version} is not known.`);
  const isVersion3 = version === 3 && header.length >= 104;
  const features = isVersion3 ? header.readBigUInt64BE(72) : 0n;
  checkFeatures(features);
  if (header.readUInt32BE(32) !== 0) throw diskError("The image is encrypted.");
  const clusterBits = header.readUInt32BE(20);
  if (clusterBits < 9 || clusterBits > 21) throw diskError(`${clusterBits} cluster bits.`);
  const headerLength = isVersion3 ? header.readUInt32BE(100) : 72;
  const isZstd =
    (features & incompatible.compression) !== 0n && headerLength > 104 && header[104] === 1;
  return {
    clusterBits,
    virtualSize: toSize(header.readBigUInt64BE(24)),
    l1Entries: header.readUInt32BE(36),
    l1Offset: toSize(header.readBigUInt64BE(40)),
    compression: isZstd ? "zstd" : "deflate",
    ...(await backing(file, header)),
    backingFormat: extension(header, headerLength, backingFormatExtension),
  };
}

function checkFeatures(features: bigint): void {
  if ((features & incompatible.dataFile) !== 0n) {
    throw diskError("The image keeps its data in another file; that is not supported.");
  }
  if ((features & incompatible.extendedL2) !== 0n) {
    throw diskError("The image has extended L2 entries; that is not supported.");
  }
  if ((features & ~readable) !== 0n) {
    throw diskError(`The image needs qcow2 features that are not known (${features}).`);
  }
}

async function backing(file: DiskReader, header: Buffer): Promise<{ backingFile?: string }> {
  const offset = toSize(header.readBigUInt64BE(8));
  const length = header.readUInt32BE(16);
  if (offset === 0 || length === 0) return {};
  if (length > 1_023) throw diskError("The name of the backing file is too long.");
  return { backingFile: (await file.read(offset, length)).toString("utf8") };
}

/** Text of a header extension: type, length, data padded to 8 bytes; type 0 ends the list. */
function extension(header: Buffer, start: number, wanted: number): string | undefined {
  for (let offset = start; offset + 8 <= header.length;) {
    const type = header.readUInt32BE(offset);
    const length = header.readUInt32BE(offset + 4);
    if (type === 0 || offset + 8 + length > header.length) return undefined;
    if (type === wanted) return header.toString("utf8", offset + 8, offset + 8 + length);
    offset += 8 + Math.ceil(length / 8) * 8;
  }
  return undefined;
}
