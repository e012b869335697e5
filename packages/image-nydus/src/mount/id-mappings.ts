import { createHash } from "node:crypto";
import type { IdMapping, RootfsIdMappings } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";

/** Lines, and bytes of a page, that the kernel takes for one namespace, see user_namespaces(7) */
const maxMappings = 340;
const maxMapBytes = 4_095;
/** One less than all 32-bit numbers: the last one means "no id" */
const idLimit = 2 ** 32 - 1;

/**
 * Checks mappings as the kernel would, which only says "invalid".
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` with field and expectation
 */
export function checkIdMappings({ uids, gids }: RootfsIdMappings): void {
  for (const [field, mappings] of [
    ["uids", uids],
    ["gids", gids],
  ] as const) {
    const problem = problemOf(mappings);
    if (problem === undefined) continue;
    throw new LongshoreError("VALIDATION_ERROR", `idMappings.${field} must be ${problem}.`, {
      details: { field: `idMappings.${field}`, expected: problem },
    });
  }
}

function problemOf(mappings: readonly IdMapping[]): string | undefined {
  if (mappings.length === 0 || mappings.length > maxMappings) {
    return `1 to ${maxMappings} mappings`;
  }
  for (const mapping of mappings) {
    const { hostId, containerId, length } = mapping;
    const isWhole = [hostId, containerId, length].every((value) => Number.isInteger(value));
    const isInRange =
      isWhole &&
      length > 0 &&
      Math.min(hostId, containerId) >= 0 &&
      Math.max(hostId, containerId) + length <= idLimit;
    if (!isInRange) return `runs of whole numbers below ${idLimit}, not ${toLine(mapping)}`;
  }
  if (toIdMap(mappings).length > maxMapBytes) return `${maxMapBytes} bytes at most as text`;
  for (const side of ["hostId", "containerId"] as const) {
    const runs = mappings.toSorted((a, b) => a[side] - b[side]);
    const isApart = runs.every((run, index) => {
      const next = runs[index + 1];
      return next === undefined || run[side] + run.length <= next[side];
    });
    if (!isApart) return "without overlaps";
  }
  return undefined;
}

/** Mappings as `/proc/<pid>/uid_map` takes them. */
export function toIdMap(mappings: readonly IdMapping[]): string {
  return mappings.map((mapping) => `${toLine(mapping)}\n`).join("");
}

function toLine({ containerId, hostId, length }: IdMapping): string {
  return `${containerId} ${hostId} ${length}`;
}

/** The same text for the same mappings, in whatever order. */
export function idMappingsKey({ uids, gids }: RootfsIdMappings): string {
  const text = [uids, gids].map((mappings) => mappings.map(toLine).toSorted().join(",")).join(";");
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

/** The id on the other side of a mapping; `undefined` for one that is not mapped. */
export function mapId(
  mappings: readonly IdMapping[],
  id: number,
  to: "host" | "container",
): number | undefined {
  const [source, target] =
    to === "host" ? (["containerId", "hostId"] as const) : (["hostId", "containerId"] as const);
  const mapping = mappings.find((run) => id >= run[source] && id < run[source] + run.length);
  return mapping && mapping[target] + (id - mapping[source]);
}
