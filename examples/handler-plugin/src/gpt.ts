import { crc32 } from "node:zlib";
import { toSize, type DiskReader } from "./disk-reader.ts";
import { formatGuid } from "./guid.ts";
import type { Partition, PartitionTable } from "./partition-table.ts";

const headerBytes = 92;
const maxEntries = 1_024;
const maxEntryBytes = 4_096;
const unusedType = "00000000-0000-0000-0000-000000000000";

const typeNames: Readonly<Record<string, string>> = {
  "c12a7328-f81f-11d2-ba4b-00a0c93ec93b": "efi-system",
  "21686148-6449-6e6f-744e-656564454649": "bios-boot",
  "0fc63daf-8483-4772-8e79-3d69d8477de4": "linux",
  "4f68bce3-e8cd-4db1-96e7-fbcaf984b709": "linux-root-x86-64",
  "b921b045-1df0-41c3-af44-4c6f280d3fae": "linux-root-arm64",
  "bc13c2ff-59e6-4262-a352-b275fd6f7172": "linux-extended-boot",
  "933ac7e1-2eb4-4f13-b844-0e14e2aef915": "linux-home",
  "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f": "linux-swap",
  "e6d6d379-f507-44c2-a23c-238f2a3df928": "linux-lvm",
  "a19d880f-05fc-4d3b-a006-743f0f84911e": "linux-raid",
  "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7": "microsoft-basic-data",
  "e3c9e316-0b5c-4db8-817d-f92df00215ae": "microsoft-reserved",
  "de94bba4-06d1-4d40-a16a-bfd50179d6ac": "windows-recovery",
};

interface Header {
  readonly diskId: string;
  readonly entriesLba: number;
  readonly entryCount: number;
  readonly entryBytes: number;
  readonly entriesCrc: number;
  readonly backupLba: number;
}

/** A GUID partition table, from its second copy when the first one is damaged. */
export async function readGpt(disk: DiskReader): Promise<PartitionTable | undefined> {
  for (const sectorSize of [512, 4_096]) {
    const table = await readAt(disk, sectorSize);
    if (table !== undefined) return table;
  }
  return undefined;
}

async function readAt(disk: DiskReader, sectorSize: number): Promise<PartitionTable | undefined> {
  const lastLba = Math.floor(disk.size / sectorSize) - 1;
  if (lastLba < 2) return undefined;
  const first = await readCopy(disk, sectorSize, 1);
  const place = typeof first === "string" ? lastLba : first.header.backupLba;
  const second = await readCopy(disk, sectorSize, Math.min(place, lastLba));
  const copy = typeof first === "string" ? second : first;
  // Somebody who makes an MBR on a disk that had a GPT may leave the second copy where it is.
  if (typeof first === "string" && !(await isProtected(disk))) return undefined;
  if (typeof copy === "string") return undefined;
  const warnings: string[] = [];
  if (typeof first === "string")
    warnings.push(`first partition table: ${first}; the second is used`);
  if (typeof second === "string") warnings.push(`second partition table: ${second}`);
  const partitions = parseEntries(copy, { sectorSize, diskSize: disk.size, warnings });
  return { type: "gpt", id: copy.header.diskId, sectorSize, partitions, warnings };
}

/** Whether the MBR says that the disk belongs to a GPT. */
async function isProtected(disk: DiskReader): Promise<boolean> {
  const sector = await disk.read(0, 512);
  return [450, 466, 482, 498].some((typeOffset) => sector[typeOffset] === 0xee);
}

interface Copy {
  readonly header: Header;
  readonly entries: Buffer;
}

/** One copy of the table, or what is wrong with it. */
async function readCopy(disk: DiskReader, sectorSize: number, lba: number): Promise<Copy | string> {
  const sector = await disk.read(lba * sectorSize, sectorSize);
  if (sector.toString("latin1", 0, 8) !== "EFI PART") return "not found";
  const length = sector.readUInt32LE(12);
  if (length < headerBytes || length > sectorSize) return "its header has an impossible length";
  const checked = Buffer.from(sector.subarray(0, length));
  checked.writeUInt32LE(0, 16);
  if (crc32(checked) !== sector.readUInt32LE(16)) return "the checksum of its header is wrong";
  if (toSize(sector.readBigUInt64LE(24)) !== lba) return "it says that it lies elsewhere";
  const header: Header = {
    diskId: formatGuid(sector, 56),
    backupLba: toSize(sector.readBigUInt64LE(32)),
    entriesLba: toSize(sector.readBigUInt64LE(72)),
    entryCount: sector.readUInt32LE(80),
    entryBytes: sector.readUInt32LE(84),
    entriesCrc: sector.readUInt32LE(88),
  };
  const { entryCount, entryBytes, entriesLba } = header;
  const isSane = entryCount <= maxEntries && entryBytes >= 128 && entryBytes <= maxEntryBytes;
  const offset = entriesLba * sectorSize;
  if (!isSane || offset + entryCount * entryBytes > disk.size) return "its size is impossible";
  const entries = await disk.read(offset, entryCount * entryBytes);
  if (crc32(entries) !== header.entriesCrc) return "the checksum of its entries is wrong";
  return { header, entries };
}

interface EntryContext {
  readonly sectorSize: number;
  readonly diskSize: number;
  readonly warnings: string[];
}

function parseEntries({ header, entries }: Copy, context: EntryContext): readonly Partition[] {
  const { sectorSize, diskSize, warnings } = context;
  const partitions: Partition[] = [];
  for (let index = 0; index < header.entryCount; index += 1) {
    const entry = entries.subarray(index * header.entryBytes, (index + 1) * header.entryBytes);
    const typeId = formatGuid(entry, 0);
    if (typeId === unusedType) continue;
    const start = toSize(entry.readBigUInt64LE(32)) * sectorSize;
    const end = (toSize(entry.readBigUInt64LE(40)) + 1) * sectorSize;
    if (start >= end || end > diskSize) {
      warnings.push(`partition ${index + 1} does not fit on the disk`);
      continue;
    }
    partitions.push({
      number: index + 1,
      start,
      size: end - start,
      typeId,
      typeName: typeNames[typeId],
      uuid: formatGuid(entry, 16),
      name: entry.toString("utf16le", 56, 128).replace(/\0.*$/s, ""),
      // Attribute 2: "legacy BIOS bootable".
      isBootable: (entry.readBigUInt64LE(48) & 4n) !== 0n,
    });
  }
  return partitions;
}
