// Files that outlive a power cut, alone: for threads, which the rest of the package would slow down.
export {
  removeDrafts,
  syncDirectory,
  writeWhole,
  type WriteWholeOptions,
} from "./files/durable-file.ts";
