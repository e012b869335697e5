import type { DiskReader } from "./disk-reader.ts";
import type { Partition, PartitionTable } from "./partition-table.ts";

/** The table counts in these, whatever the disk does */
const sectorSize = 512;
const entriesOffset = 446;
/** More logical partitions than any system makes: the chain is a circle */
const maxLogical = 128;
const extendedTypes: ReadonlySet<number> = new Set([0x05, 0x0f, 0x85]);

const typeNames: Readonly<Record<number, string>> = {
  0x01: "fat12",
  0x04: "fat16",
  0x05: "extended",
  0x06: "fat16",
  0x07: "ntfs-or-exfat",
  0x0b: "fat32",
  0x0c: "fat32",
  0x0e: "fat16",
  0x0f: "extended",
  0x82: "linux-swap",
  0x83: "linux",
  0x85: "extended",
  0x8e: "linux-lvm",
  0xee: "gpt-protective",
  0xef: "efi-system",
  0xfd: "linux-raid",
};

interface Entry {
  readonly status: number;
  readonly type: number;
  /** Sectors */
  readonly start: number;
  readonly count: number;
}

/** A master boot record with its primary, extended and logical partitions. */
export async function readMbr(disk: DiskReader): Promise<PartitionTable | undefined> {
  if (disk.size < sectorSize) return undefined;
  const sector = await disk.read(0, sectorSize);
  const entries = parseEntries(sector);
  // A boot sector of a filesystem has the same signature; its code makes no sensible entries.
  if (entries?.every(({ status }) => status === 0 || status === 0x80) !== true) return undefined;
  if (entries.every(({ type }) => type === 0)) return undefined;
  const warnings: string[] = [];
  const partitions: Partition[] = [];
  for (const [index, entry] of entries.entries()) {
    if (entry.type === 0) continue;
    const partition = toPartition(entry, index + 1, 0);
    if (!fits(partition, disk)) {
      warnings.push(`partition ${partition.number} does not fit on the disk`);
      continue;
    }
    partitions.push(partition);
    if (extendedTypes.has(entry.type)) {
      partitions.push(...(await readLogical(disk, entry, warnings)));
    }
  }
  partitions.sort((a, b) => a.number - b.number);
  const id = sector.readUInt32LE(440).toString(16).padStart(8, "0");
  return { type: "mbr", id, sectorSize, partitions, warnings };
}

/** Logical partitions hang on a chain of tables; each has one partition and the way to the next table. */
async function readLogical(
  disk: DiskReader,
  extended: Entry,
  warnings: string[],
): Promise<readonly Partition[]> {
  const partitions: Partition[] = [];
  let table = extended.start;
  for (let turn = 0; ; turn += 1) {
    if (turn === maxLogical) {
      warnings.push("the chain of logical partitions does not end");
      return partitions;
    }
    const isInside = table >= extended.start && table < extended.start + extended.count;
    if (!isInside || (table + 1) * sectorSize > disk.size) {
      warnings.push("the chain of logical partitions leaves the extended one");
      return partitions;
    }
    const [own, next] = parseEntries(await disk.read(table * sectorSize, sectorSize)) ?? [];
    if (own === undefined || next === undefined) {
      warnings.push("the chain of logical partitions is broken");
      return partitions;
    }
    if (own.type !== 0) {
      // Their own place counts from their table, the next table's from the extended partition.
      const partition = toPartition(own, 5 + partitions.length, table);
      if (fits(partition, disk)) partitions.push(partition);
      else warnings.push(`partition ${partition.number} does not fit on the disk`);
    }
    if (!extendedTypes.has(next.type) || next.start === 0) return partitions;
    table = extended.start + next.start;
  }
}

function parseEntries(sector: Buffer): readonly Entry[] | undefined {
  if (sector.readUInt16LE(510) !== 0xaa55) return undefined;
  return [0, 1, 2, 3].map((index) => {
    const offset = entriesOffset + index * 16;
    return {
      status: sector.readUInt8(offset),
      type: sector.readUInt8(offset + 4),
      start: sector.readUInt32LE(offset + 8),
      count: sector.readUInt32LE(offset + 12),
    };
  });
}

function toPartition(entry: Entry, number: number, base: number): Partition {
  return {
    number,
    start: (base + entry.start) * sectorSize,
    size: entry.count * sectorSize,
    typeId: entry.type.toString(16).padStart(2, "0"),
    typeName: typeNames[entry.type],
    isBootable: entry.status === 0x80,
  };
}

function fits({ start, size }: Partition, disk: DiskReader): boolean {
  return start > 0 && size > 0 && start + size <= disk.size;
}
