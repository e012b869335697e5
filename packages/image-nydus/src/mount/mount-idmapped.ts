import type { Abortable, RootfsIdMappings } from "@longshore/core";
import { checkIdMappings, toIdMap } from "./id-mappings.ts";
import { idmapProgram } from "./mount-programs.ts";
import { mountPath } from "./mounted-at.ts";
import { runPerl } from "./perl.ts";
import { unmount } from "./unmount.ts";

export interface MountIdmappedOptions extends Abortable {
  /** Where the filesystem is mounted */
  readonly source: string;
  /** Existing directory */
  readonly target: string;
  readonly idMappings: RootfsIdMappings;
}

/**
 * Shows a mount at another directory, too, with whom its files belong to shifted as for a user namespace. Ends by itself,
 * not with the source. Needs root, and a kernel and filesystem with idmapped mounts.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for mappings that are none; `IO_ERROR` with what the kernel said
 */
export async function mountIdmapped(options: MountIdmappedOptions): Promise<void> {
  const { idMappings, signal } = options;
  checkIdMappings(idMappings);
  const [source, target] = [await mountPath(options.source), await mountPath(options.target)];
  const maps = [toIdMap(idMappings.uids), toIdMap(idMappings.gids)];
  await runPerl(idmapProgram, [source, target, ...maps], {
    what: `mount ${source} with shifted owners at ${target}`,
    signal,
  });
  if (signal?.aborted !== true) return;
  await unmount(target);
  throw signal.reason;
}
