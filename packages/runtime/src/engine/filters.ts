import type { ContainerFilter, PodSandboxFilter } from "@longshore/core";
import type { ContainerEntry, SandboxEntry } from "./entries.ts";
import type { Registry } from "./registry.ts";

type Labels = Readonly<Record<string, string>>;

/** Whether a sandbox is meant by a filter. @throws {LongshoreError} `VALIDATION_ERROR` for an ambiguous prefix */
export function matchesSandbox(
  registry: Registry,
  { id = "", state, labelSelector }: PodSandboxFilter,
): (entry: SandboxEntry) => boolean {
  const wanted = id === "" ? undefined : registry.findSandbox(id);
  return (entry) =>
    (id === "" || entry === wanted) &&
    (isAny(state) || (state === "ready") === entry.isReady) &&
    hasLabels(entry.config.labels, labelSelector);
}

/** Whether a container is meant by a filter. @throws {LongshoreError} `VALIDATION_ERROR` for an ambiguous prefix */
export function matchesContainer(
  registry: Registry,
  { id = "", podSandboxId = "", state, labelSelector }: ContainerFilter,
): (entry: ContainerEntry) => boolean {
  const wanted = id === "" ? undefined : registry.findContainer(id);
  const sandbox = podSandboxId === "" ? undefined : registry.findSandbox(podSandboxId);
  return (entry) =>
    (id === "" || entry === wanted) &&
    (podSandboxId === "" || entry.sandbox === sandbox) &&
    (isAny(state) || state === entry.record.state) &&
    hasLabels(entry.record.config.labels, labelSelector);
}

function isAny(state: string | undefined): boolean {
  return state === undefined || state === "";
}

function hasLabels(labels: Labels = {}, selector: Labels = {}): boolean {
  return Object.entries(selector).every(
    ([key, value]) => Object.hasOwn(labels, key) && labels[key] === value,
  );
}
