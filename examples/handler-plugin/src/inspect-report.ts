import { z } from "zod";

const filesystem = z.object({
  type: z.string(),
  version: z.string().optional(),
  label: z.string().optional(),
  uuid: z.string().optional(),
  size_bytes: z.number().optional(),
});

const partition = z.object({
  number: z.number(),
  start_bytes: z.number(),
  size_bytes: z.number(),
  type_id: z.string(),
  type_name: z.string().optional(),
  uuid: z.string().optional(),
  name: z.string().optional(),
  bootable: z.boolean(),
  /** Absent when nothing known was found */
  filesystem: filesystem.optional(),
});

/** What `disk.inspect` found: the result's data. */
export const inspectReport = z.object({
  image: z.object({
    path: z.string(),
    format: z.enum(["raw", "qcow2"]),
    /** Size of the disk inside */
    virtual_size_bytes: z.number(),
    /** Size of the file */
    file_size_bytes: z.number(),
    /** What the file takes up where it lies */
    allocated_bytes: z.number().optional(),
    cluster_size_bytes: z.number().optional(),
    compression: z.string().optional(),
    snapshots: z.array(z.string()),
    backing_files: z.array(z.string()),
    /** `"verified"` or `"not_given"`; a wrong one ends the job */
    checksum: z.enum(["verified", "not_given"]),
    /** With `deep_scan`, for qcow2 */
    check: z.object({ corruptions: z.number(), leaks: z.number() }).optional(),
  }),
  /** Absent without `include_storage` */
  storage: z
    .object({
      partition_table: z.enum(["gpt", "mbr", "none"]),
      disk_id: z.string().optional(),
      sector_size_bytes: z.number().optional(),
      partitions: z.array(partition),
      /** Of the disk as a whole, when it has no partitions */
      filesystem: filesystem.optional(),
    })
    .optional(),
  operating_systems: z.array(
    z.object({
      /** 0: the disk as a whole */
      partition: z.number(),
      id: z.string(),
      name: z.string().optional(),
      pretty_name: z.string().optional(),
      version_id: z.string().optional(),
      hostname: z.string().optional(),
      os_release: z.record(z.string(), z.string()),
    }),
  ),
  /** Where no operating system could be looked for, and why */
  not_searched: z.array(
    z.object({ partition: z.number(), filesystem: z.string(), reason: z.string() }),
  ),
  warnings: z.array(z.string()),
});

export type InspectReport = z.infer<typeof inspectReport>;
export type OperatingSystem = InspectReport["operating_systems"][number];
