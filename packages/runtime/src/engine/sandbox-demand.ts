import { addDemands, demandOf, largestDemand, type Demand } from "../admission/demand.ts";
import type { SandboxRecord } from "../records/sandbox-record.ts";

/**
 * What a sandbox counts for: what was said of it as a whole, or what its containers may use together, whichever is more;
 * and what it needs for itself.
 */
export function sandboxDemand(
  { config, resources, overhead }: Pick<SandboxRecord, "config" | "resources" | "overhead">,
  containers: Iterable<Demand> = [],
): Demand {
  const whole = demandOf(resources ?? config.linux?.resources);
  const own = demandOf(overhead ?? config.linux?.overhead);
  return addDemands([largestDemand(whole, addDemands([...containers])), own]);
}
