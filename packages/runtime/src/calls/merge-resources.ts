import type { LinuxContainerResources } from "@longshore/core";
import { invalid } from "../engine/check-fields.ts";

const integers = [
  "cpuPeriod",
  "cpuQuota",
  "cpuShares",
  "memoryLimitInBytes",
  "oomScoreAdj",
  "memorySwapLimitInBytes",
] as const;

/**
 * Limits after an update: what is absent or 0 stays as it was.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`
 */
export function mergeResources(
  before: LinuxContainerResources = {},
  change: LinuxContainerResources = {},
): LinuxContainerResources {
  for (const field of integers) {
    const value = change[field];
    if (value !== undefined && !Number.isSafeInteger(value)) {
      throw invalid(`linux.${field}`, "must be a whole number.");
    }
    const isSigned = field === "oomScoreAdj" || field === "cpuQuota";
    if (value !== undefined && value < 0 && !isSigned) {
      throw invalid(`linux.${field}`, "must be 0 or more.");
    }
  }
  const { unified, hugepageLimits, ...plain } = change;
  const set = Object.entries(plain).filter(
    ([, value]) => value !== undefined && value !== 0 && value !== "",
  );
  const pages = new Map(
    [...(before.hugepageLimits ?? []), ...(hugepageLimits ?? [])].map((one) => [one.pageSize, one]),
  );
  return {
    ...before,
    ...(Object.fromEntries(set) as LinuxContainerResources),
    ...(unified !== undefined && { unified: { ...before.unified, ...unified } }),
    ...(pages.size > 0 && { hugepageLimits: [...pages.values()] }),
  };
}
