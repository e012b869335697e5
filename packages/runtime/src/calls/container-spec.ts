import type { ContainerLog, DriverContainerSpec } from "@longshore/core";
import type { Engine } from "../engine/engine.ts";
import type { ContainerEntry } from "../engine/entries.ts";

/** What a driver is told of a container: its limits as they are now, its mounts as paths of the host. */
export function driverContainerSpec(
  { records }: Pick<Engine, "records">,
  { id, sandbox, record }: ContainerEntry,
  extra: Pick<DriverContainerSpec, "attach"> & { readonly log?: ContainerLog | undefined } = {},
): DriverContainerSpec {
  const { config, resources, driverMounts, process, rootfs } = record;
  return {
    id,
    directory: records.containerDirectory(sandbox.id, id),
    config: {
      ...config,
      mounts: driverMounts,
      ...((config.linux !== undefined || resources !== undefined) && {
        linux: { ...config.linux, resources },
      }),
    },
    rootfs,
    process,
    ...extra,
  };
}
