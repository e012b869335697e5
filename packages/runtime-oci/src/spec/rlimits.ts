import type { HostFacts } from "./host-facts.ts";
import type { OciRlimit } from "./oci-spec.ts";
import { invalid } from "./spec-error.ts";

/**
 * Limits as this program may set them: hard ones no higher than its own, soft ones no higher than the hard ones.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for a limit that Linux does not have, or that is no whole number
 */
export function clampRlimits(rlimits: readonly OciRlimit[], host: HostFacts): readonly OciRlimit[] {
  return rlimits.map(({ type, soft, hard }) => {
    const own = host.hardRlimits.get(type);
    if (own === undefined) throw invalid("rlimits", `There is no limit ${JSON.stringify(type)}.`);
    for (const value of [soft, hard]) {
      if (!Number.isSafeInteger(value) || value < 0) {
        throw invalid("rlimits", `${type} is a whole number, not ${value}.`);
      }
    }
    const highest = host.hasSysResource ? hard : Math.min(hard, own);
    return { type, soft: Math.min(soft, highest), hard: highest };
  });
}
