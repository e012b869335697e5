import { isLongshoreError } from "@longshore/core";
import type { Volume } from "./detect-os.ts";
import { sliceOf, type DiskReader } from "./disk-reader.ts";
import { detectFilesystem, type Filesystem } from "./filesystem.ts";
import type { InspectReport } from "./inspect-report.ts";
import { readPartitionTable, type Partition } from "./partition-table.ts";

type Storage = NonNullable<InspectReport["storage"]>;

/** The layout of a disk, and the filesystems in it. */
export interface FoundStorage {
  readonly storage: Storage;
  readonly volumes: readonly Volume[];
  readonly warnings: readonly string[];
}

/** Reads the partition table, and looks what each partition holds. */
export async function inspectStorage(disk: DiskReader): Promise<FoundStorage> {
  const table = await readPartitionTable(disk);
  // A filesystem's boot sector can look like an MBR; only a GPT is beyond doubt.
  const whole = table?.type === "gpt" ? undefined : await detectFilesystem(disk);
  if (table === undefined || whole !== undefined) {
    return {
      storage: {
        partition_table: "none",
        partitions: [],
        ...(whole !== undefined && { filesystem: toWire(whole) }),
      },
      volumes: whole === undefined ? [] : [{ partition: 0, disk, filesystem: whole }],
      warnings: [],
    };
  }
  const partitions: Storage["partitions"] = [];
  const volumes: Volume[] = [];
  const warnings = [...table.warnings];
  for (const partition of table.partitions) {
    const part = sliceOf(disk, partition.start, partition.size);
    const filesystem = await detect(part, partition, warnings);
    partitions.push(describe(partition, filesystem));
    if (filesystem !== undefined)
      volumes.push({ partition: partition.number, disk: part, filesystem });
  }
  return {
    storage: {
      partition_table: table.type,
      disk_id: table.id,
      sector_size_bytes: table.sectorSize,
      partitions,
    },
    volumes,
    warnings,
  };
}

async function detect(
  part: DiskReader,
  { number, typeName }: Partition,
  warnings: string[],
): Promise<Filesystem | undefined> {
  if (typeName === "extended") return undefined;
  try {
    return await detectFilesystem(part);
  } catch (error) {
    if (!isLongshoreError(error) || error.code !== "DISK_UNREADABLE") throw error;
    warnings.push(`partition ${number}: ${error.message}`);
    return undefined;
  }
}

function describe(
  { number, start, size, typeId, typeName, uuid, name, isBootable = false }: Partition,
  filesystem: Filesystem | undefined,
): Storage["partitions"][number] {
  return {
    number,
    start_bytes: start,
    size_bytes: size,
    type_id: typeId,
    ...(typeName !== undefined && { type_name: typeName }),
    ...(uuid !== undefined && { uuid }),
    ...(name !== undefined && name !== "" && { name }),
    bootable: isBootable,
    ...(filesystem !== undefined && { filesystem: toWire(filesystem) }),
  };
}

function toWire({ size, ...rest }: Filesystem): NonNullable<Storage["filesystem"]> {
  return { ...rest, ...(size !== undefined && { size_bytes: size }) };
}
