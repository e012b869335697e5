import type { DiskReader } from "./disk-reader.ts";
import { readGpt } from "./gpt.ts";
import { readMbr } from "./mbr.ts";

/** A part of a disk. */
export interface Partition {
  /** As the kernel numbers it, from 1 */
  readonly number: number;
  /** Bytes from the start of the disk */
  readonly start: number;
  /** Bytes */
  readonly size: number;
  /** GUID (GPT) or two hex digits (MBR) of the type */
  readonly typeId: string;
  /** What the type is for, e.g. `"linux"`; absent for types that are not known */
  readonly typeName?: string | undefined;
  readonly uuid?: string | undefined;
  readonly name?: string | undefined;
  readonly isBootable?: boolean | undefined;
}

export interface PartitionTable {
  readonly type: "gpt" | "mbr";
  readonly id?: string | undefined;
  readonly sectorSize: number;
  /** By number */
  readonly partitions: readonly Partition[];
  /** What is wrong with the table without making it useless */
  readonly warnings: readonly string[];
}

/** The disk's partition table; `undefined` when it has none. */
export async function readPartitionTable(disk: DiskReader): Promise<PartitionTable | undefined> {
  return (await readGpt(disk)) ?? (await readMbr(disk));
}
