/** What a tar stream may ask for at most. Beyond it, reading ends with an error that names the limit. */
export interface TarLimits {
  /** Entries, those that are left out included. @default 1_000_000 */
  readonly maxEntries: number;
  /** Bytes of one file, holes included. @default 256 GiB */
  readonly maxEntryBytes: number;
  /** Bytes of a path or link target. @default 4_096 */
  readonly maxPathBytes: number;
  /** Bytes of one PAX header; also of all global ones that are in force together. @default 1 MiB */
  readonly maxPaxHeaderBytes: number;
  /** Bytes of the value of one extended attribute. @default 64 KiB, which is what Linux takes */
  readonly maxXattrValueBytes: number;
  /** Bytes of the names and values of all extended attributes of an entry. @default 256 KiB */
  readonly maxXattrBytes: number;
  /** Runs of data in a sparse file. @default 1_000_000 */
  readonly maxSparseRuns: number;
}

/** The limits that hold when nothing else is said. */
export const defaultTarLimits: TarLimits = {
  maxEntries: 1_000_000,
  maxEntryBytes: 256 * 2 ** 30,
  maxPathBytes: 4_096,
  maxPaxHeaderBytes: 2 ** 20,
  maxXattrValueBytes: 64 * 2 ** 10,
  maxXattrBytes: 256 * 2 ** 10,
  maxSparseRuns: 1_000_000,
};
