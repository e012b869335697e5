import { join, resolve } from "node:path";
import type { EventBus, Logger } from "@longshore/core";
import {
  openNydusImageStore,
  type ImageMountMethod,
  type NydusImageStore,
} from "@longshore/image-nydus";
import { parsePlatform } from "@longshore/image-nydus/registry";

/** Flags of every command about images. */
export interface ImageFlags {
  readonly home: string;
  readonly json?: boolean;
  /** Hosts that are spoken to without TLS */
  readonly plainHttp?: readonly string[];
}

export interface ImageStoreSettings {
  readonly platform?: string | undefined;
  readonly onDemand?: boolean | undefined;
  readonly mountMethods?: readonly ImageMountMethod[] | undefined;
  /** How long images stay mounted that nobody uses */
  readonly idleMountMs?: number | undefined;
  readonly logger?: Logger | undefined;
  /** Told what happens to images */
  readonly events?: EventBus | undefined;
}

/**
 * Opens the image store of a home directory, and makes it when it is not there.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for a platform that is none; what opening the store throws
 */
export function openImageStore(
  flags: ImageFlags,
  settings: ImageStoreSettings = {},
): Promise<NydusImageStore> {
  const { platform, onDemand, mountMethods, idleMountMs, logger, events } = settings;
  const { plainHttp = [] } = flags;
  return openNydusImageStore({
    directory: join(resolve(flags.home), "images"),
    platform: platform === undefined ? undefined : parsePlatform(platform),
    onDemand,
    mountMethods,
    idleMountMs,
    logger,
    events,
    registry: {
      hosts: Object.fromEntries(plainHttp.map((host) => [host, { plainHttp: true }])),
    },
  });
}
