import type { Abortable } from "@longshore/core";
import { isLongshoreError } from "@longshore/core/errors";
import type { ImageSource } from "../registry/image-source.ts";
import type {
  AnyManifest,
  Descriptor,
  ImageIndex,
  ManifestDocument,
} from "../registry/manifest.ts";
import { isManifestType } from "../registry/media-types.ts";
import { platformRank, type Platform } from "../registry/platform.ts";
import { isNydusManifest, nydusOsFeature, nydusTypes } from "./nydus-manifest.ts";

/** What {@link findNydusManifest} needs of an image source. */
export type NydusDocuments = Pick<ImageSource, "fetchManifest" | "listReferrers">;

export interface FindNydusOptions extends Abortable {
  readonly platform: Platform;
}

/** Referrers that are looked into at most: anybody who may push can add any number. */
const maxReferrers = 8;

/**
 * Entries of an index that are marked as Nydus images for a platform: those with the artifact type first, then those with
 * the mark of older tools, each best platform first.
 */
export function nydusEntries(index: ImageIndex, platform: Platform): readonly Descriptor[] {
  const wanted = { ...platform, osFeatures: [...(platform.osFeatures ?? []), nydusOsFeature] };
  return index.manifests
    .flatMap((descriptor) => {
      const isNew = descriptor.artifactType === nydusTypes.manifest;
      const isOld = descriptor.platform?.osFeatures?.includes(nydusOsFeature) === true;
      if (!isManifestType(descriptor.mediaType) || !(isNew || isOld)) return [];
      const rank =
        descriptor.platform === undefined ? undefined : platformRank(wanted, descriptor.platform);
      return rank === undefined ? [] : [{ descriptor, order: rank + (isNew ? 10_000_000 : 0) }];
    })
    .toSorted((one, other) => other.order - one.order)
    .map(({ descriptor }) => descriptor);
}

/**
 * Referrers of an image that may be its Nydus form, likely ones first. Only their manifests can tell: those of older tools
 * say nothing in the list.
 */
export function nydusReferrers(referrers: readonly Descriptor[]): readonly Descriptor[] {
  const manifests = referrers.filter(({ mediaType }) => isManifestType(mediaType));
  const likely = manifests.filter(({ artifactType }) => artifactType === nydusTypes.manifest);
  return [...likely, ...manifests.filter((entry) => !likely.includes(entry))].slice(
    0,
    maxReferrers,
  );
}

/**
 * Finds the Nydus form of an image: what the name stands for is one itself, the index lists one beside the image, or one
 * refers to the image.
 *
 * @param top what the name stands for
 * @param original the ordinary image of the platform, if there is one
 * @returns `undefined` when there is none
 * @throws what the source throws; nothing for a registry that has no list of referrers, or a broken one
 */
export async function findNydusManifest(
  source: NydusDocuments,
  found: { readonly top: AnyManifest; readonly original?: Pick<Descriptor, "digest"> | undefined },
  options: FindNydusOptions,
): Promise<ManifestDocument | undefined> {
  const { platform, signal } = options;
  const { top, original } = found;
  if (top.kind === "manifest" && isNydusManifest(top.manifest)) return top;
  if (top.kind === "index") {
    const entry = await firstNydus(source, nydusEntries(top.index, platform), { signal });
    if (entry !== undefined) return entry;
  }
  if (original === undefined) return undefined;
  try {
    const referrers = await source.listReferrers(original.digest, { signal });
    return await firstNydus(source, nydusReferrers(referrers), { signal });
  } catch (error) {
    signal?.throwIfAborted();
    if (!isLongshoreError(error)) throw error;
    // A registry that answers nonsense about referrers still has the ordinary image.
    return undefined;
  }
}

async function firstNydus(
  source: Pick<NydusDocuments, "fetchManifest">,
  candidates: readonly Descriptor[],
  options: Abortable,
): Promise<ManifestDocument | undefined> {
  for (const descriptor of candidates) {
    const document = await source.fetchManifest(descriptor, options);
    if (document.kind === "manifest" && isNydusManifest(document.manifest)) return document;
  }
  return undefined;
}
