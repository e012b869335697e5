import type { Descriptor } from "./manifest.ts";
import { isImageConfigType, isIndexType, isManifestType } from "./media-types.ts";
import { formatPlatform, platformRank, type Platform } from "./platform.ts";

export interface PlatformChoice {
  readonly platform: Platform;
  /** Take entries of this type instead of ordinary images, e.g. Nydus images beside them */
  readonly artifactType?: string | undefined;
}

/** The entries of an index by what can be said of them without reading more. */
export interface PlatformMatches {
  /** Manifests for the platform, best first */
  readonly matching: readonly Descriptor[];
  /** Manifests that do not say what they run on */
  readonly unlabelled: readonly Descriptor[];
  /** Indexes inside the index */
  readonly nested: readonly Descriptor[];
}

/** Sorts the entries of an index for a platform. What is no image, such as an attestation, appears nowhere. */
export function matchPlatform(
  entries: readonly Descriptor[],
  choice: PlatformChoice,
): PlatformMatches {
  const images = entries.filter((entry) => isCandidate(entry, choice.artifactType));
  const ranked = images.flatMap((descriptor) => {
    const { platform } = descriptor;
    if (platform === undefined || !isManifestType(descriptor.mediaType)) return [];
    const rank = platformRank(choice.platform, platform);
    return rank === undefined ? [] : [{ descriptor, rank }];
  });
  return {
    matching: ranked.toSorted((a, b) => b.rank - a.rank).map(({ descriptor }) => descriptor),
    unlabelled: images.filter((entry) => !hasPlatform(entry) && isManifestType(entry.mediaType)),
    nested: images.filter((entry) => isIndexType(entry.mediaType)),
  };
}

/** The platforms of an index as an error lists them. */
export function listPlatforms(entries: readonly Descriptor[], artifactType?: string): string {
  const names = entries
    .filter((entry) => isCandidate(entry, artifactType))
    .flatMap(({ platform }) => (platform === undefined ? [] : [formatPlatform(platform)]));
  const unique = [...new Set(names)];
  if (unique.length === 0) return "none";
  const more = unique.length > 20 ? `, and ${unique.length - 20} more` : "";
  return `${unique.slice(0, 20).join(", ")}${more}`.slice(0, 1_000);
}

function isCandidate(entry: Descriptor, artifactType: string | undefined): boolean {
  const isManifest = isManifestType(entry.mediaType);
  if (!isManifest && !isIndexType(entry.mediaType)) return false;
  if (isManifest && artifactTypeOf(entry) !== artifactType) return false;
  if (entry.annotations?.["vnd.docker.reference.type"] !== undefined) return false;
  return entry.platform?.os !== "unknown";
}

/** The type of an image's config says as much as no type. */
function artifactTypeOf({ artifactType = "" }: Descriptor): string | undefined {
  return artifactType === "" || isImageConfigType(artifactType) ? undefined : artifactType;
}

function hasPlatform({ platform }: Descriptor): boolean {
  return platform !== undefined && platform.os !== "";
}
