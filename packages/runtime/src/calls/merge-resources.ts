import type { LinuxContainerResources } from "@longshore/core";
import { checkResources } from "../engine/check-resources.ts";

/**
 * Limits after an update: what is absent or 0 stays as it was.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`
 */
export function mergeResources(
  before: LinuxContainerResources = {},
  change: LinuxContainerResources = {},
): LinuxContainerResources {
  checkResources("linux", change);
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
