import type { LinuxContainerSecurityContext } from "@longshore/core";
import { parseContainerPath } from "./container-path.ts";

/** What tells of, or reaches into, the whole machine: an empty file or directory lies over each. */
export const defaultMaskedPaths: readonly string[] = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/sys/devices/virtual/powercap",
  "/sys/firmware",
];

/** What changes the whole machine when written to. */
export const defaultReadonlyPaths: readonly string[] = [
  "/proc/bus",
  "/proc/fs",
  "/proc/irq",
  "/proc/sys",
  "/proc/sysrq-trigger",
];

/**
 * Paths that are hidden and paths that are read-only. Lists that are given replace the defaults, also empty ones; a
 * privileged container has neither. The runtime follows links, so a masked link of the image masks its target.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for a path that is not absolute or has `..`
 */
export function hiddenPaths(context: LinuxContainerSecurityContext | undefined): {
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
} {
  if (context?.privileged === true) return { maskedPaths: [], readonlyPaths: [] };
  return {
    maskedPaths: (context?.maskedPaths ?? defaultMaskedPaths).map((path) =>
      parseContainerPath("maskedPaths", path),
    ),
    readonlyPaths: (context?.readonlyPaths ?? defaultReadonlyPaths).map((path) =>
      parseContainerPath("readonlyPaths", path),
    ),
  };
}
