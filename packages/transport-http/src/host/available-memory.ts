import { readFile } from "node:fs/promises";
import { freemem } from "node:os";

/** Bytes that programs can have without swapping; on Linux more than is free, since caches give way. */
export async function availableMemory(): Promise<number> {
  try {
    const kibibytes = /^MemAvailable:\s+(\d+) kB$/m.exec(await readFile("/proc/meminfo", "utf8"));
    if (kibibytes?.[1] !== undefined) return Number(kibibytes[1]) * 1_024;
  } catch {
    // Not Linux: the operating system's own number has to do.
  }
  return freemem();
}
