import type { LinuxContainerSecurityContext } from "@longshore/core";
import { capabilityNames, defaultCapabilities, type CapabilityName } from "./capability-names.ts";
import type { OciCapabilities } from "./oci-spec.ts";
import { invalid, unsupported } from "./spec-error.ts";

/** Capabilities of a container's processes. */
export interface ContainerCapabilities {
  /** All that a process of root in it has */
  readonly held: ReadonlySet<CapabilityName>;
  /** Those kept by a process of another user as well */
  readonly ambient: ReadonlySet<CapabilityName>;
}

/**
 * The default list changed by what the security context says: `ALL` first, then added names, then dropped ones. From the
 * defaults and from `ALL`, what this program may not give itself is left out.
 *
 * @param available the program's own bounding set
 * @throws {LongshoreError} `VALIDATION_ERROR` for an unknown name, `RUNTIME_NOT_SUPPORTED` for one asked for by name that
 *   is not available
 */
export function containerCapabilities(
  context: LinuxContainerSecurityContext | undefined,
  available: ReadonlySet<CapabilityName>,
): ContainerCapabilities {
  if (context?.privileged === true) return { held: available, ambient: new Set() };
  const {
    addCapabilities = [],
    dropCapabilities = [],
    addAmbientCapabilities = [],
  } = context?.capabilities ?? {};
  const add = parseNames("addCapabilities", addCapabilities);
  const drop = parseNames("dropCapabilities", dropCapabilities);
  const raise = parseNames("addAmbientCapabilities", addAmbientCapabilities);
  const start = add.isAll || raise.isAll ? capabilityNames : defaultCapabilities;
  const held = new Set(drop.isAll ? [] : start.filter((name) => available.has(name)));
  for (const name of [...add.names, ...raise.names]) {
    if (!available.has(name) && !drop.names.has(name)) {
      throw unsupported("capabilities", `This program does not have CAP_${name} to give.`);
    }
    held.add(name);
  }
  for (const name of drop.names) held.delete(name);
  const ambient = raise.isAll
    ? new Set(held)
    : new Set([...raise.names].filter((name) => held.has(name)));
  return { held, ambient };
}

/** The five sets of an OCI process. Nothing is inheritable but what is ambient. */
export function ociCapabilities({ held, ambient }: ContainerCapabilities): OciCapabilities {
  const names = [...held].map((name) => `CAP_${name}`).toSorted();
  const raised = [...ambient].map((name) => `CAP_${name}`).toSorted();
  return {
    bounding: names,
    effective: names,
    permitted: names,
    inheritable: raised,
    ambient: raised,
  };
}

function parseNames(
  field: string,
  names: readonly string[],
): { isAll: boolean; names: ReadonlySet<CapabilityName> } {
  const known = new Set<CapabilityName>();
  let isAll = false;
  for (const name of names) {
    const bare = name.toUpperCase().replace(/^CAP_/, "");
    const found = capabilityNames.find((candidate) => candidate === bare);
    if (bare === "ALL") isAll = true;
    else if (found !== undefined) known.add(found);
    else throw invalid(field, `There is no capability ${JSON.stringify(name.slice(0, 64))}.`);
  }
  return { isAll, names: known };
}
