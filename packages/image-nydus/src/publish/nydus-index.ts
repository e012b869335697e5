import { LongshoreError } from "@longshore/core/errors";
import { nydusOsFeature, nydusTypes } from "../lazy/nydus-manifest.ts";
import type { AnyManifest, Descriptor } from "../registry/manifest.ts";
import { mediaTypes } from "../registry/media-types.ts";
import type { Platform } from "../registry/platform.ts";

/** An ordinary image and its Nydus form. */
export interface NydusPair {
  readonly original: Descriptor;
  readonly nydus: Descriptor;
  /** What both run on */
  readonly platform: Platform;
}

/** An entry of an index as it stands in there */
type WireEntry = Readonly<Record<string, unknown>>;

interface WireIndex extends WireEntry {
  readonly manifests: readonly WireEntry[];
}

/**
 * The bytes of an index that lists an image and, behind it, its Nydus form: whoever does not know Nydus takes the first that
 * fits. The Nydus entry is marked in the way of new tools and in that of old ones. Other images of the index stay, an older
 * Nydus form of this one does not.
 *
 * @param present what has the name now
 * @throws {LongshoreError} `STATE_CONFLICT` when that is an index without the image: it may have been replaced by a newer one
 */
export function nydusIndex(present: AnyManifest | undefined, pair: NydusPair): Buffer {
  const { nydus } = pair;
  const { platform, entries, rest } = ordinaryEntries(present, pair);
  const { mediaType, digest, size } = nydus;
  const osFeatures = [...(platform.osFeatures ?? []), nydusOsFeature];
  const entry: WireEntry = {
    mediaType,
    digest,
    size,
    artifactType: nydusTypes.manifest,
    platform: wirePlatform({ ...platform, osFeatures }),
  };
  const manifests = [...entries, entry];
  return Buffer.from(
    JSON.stringify({ ...rest, schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }),
  );
}

interface OrdinaryEntries {
  readonly platform: Platform;
  readonly entries: readonly WireEntry[];
  /** What else stands in the index, annotations first of all */
  readonly rest: WireEntry;
}

/** What the index has besides the Nydus form. Fields that nobody here knows of stay. */
function ordinaryEntries(present: AnyManifest | undefined, pair: NydusPair): OrdinaryEntries {
  const { original } = pair;
  if (present?.kind !== "index") {
    const { mediaType, digest, size } = original;
    const entry = { mediaType, digest, size, platform: wirePlatform(pair.platform) };
    return { platform: pair.platform, entries: [entry], rest: {} };
  }
  const { manifests } = present.index;
  const own = manifests.find(({ digest }) => digest === original.digest);
  if (own === undefined) throw replaced();
  // An index knows better than a configuration what its images run on.
  const { platform = pair.platform } = own;
  const wire = JSON.parse(present.bytes.toString("utf8")) as WireIndex;
  const entries = wire.manifests.filter((_, position) => {
    const entry = manifests[position];
    return entry === undefined || !isNydusFor(entry, platform);
  });
  return { platform, entries, rest: wire };
}

function isNydusFor({ artifactType, platform }: Descriptor, wanted: Platform): boolean {
  const isNydus =
    artifactType === nydusTypes.manifest || platform?.osFeatures?.includes(nydusOsFeature) === true;
  return (
    isNydus &&
    platform?.os === wanted.os &&
    platform.architecture === wanted.architecture &&
    platform.variant === wanted.variant
  );
}

function wirePlatform(platform: Platform): object {
  const { os, architecture, variant, osVersion, osFeatures = [] } = platform;
  return {
    architecture,
    os,
    ...(osVersion !== undefined && { "os.version": osVersion }),
    ...(osFeatures.length > 0 && { "os.features": osFeatures }),
    ...(variant !== undefined && { variant }),
  };
}

function replaced(): LongshoreError {
  return new LongshoreError(
    "STATE_CONFLICT",
    "The name stands for an index without the image now; pull it again, or push to another name.",
  );
}
