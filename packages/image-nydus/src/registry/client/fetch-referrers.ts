import { isLongshoreError } from "@longshore/core/errors";
import { parseDigest } from "../digest.ts";
import type { ListReferrersOptions } from "../image-source.ts";
import { parseManifest, type Descriptor } from "../manifest.ts";
import { mediaTypes } from "../media-types.ts";
import { invalid } from "../registry-errors.ts";
import { fetchRemoteManifest } from "./fetch-document.ts";
import { fetchPages } from "./paged-list.ts";
import type { Repository } from "./repository.ts";

const maxReferrers = 20_000;

export interface ReferrersRequest extends ListReferrersOptions {
  readonly digest: string;
}

/**
 * Manifests whose subject is a digest: by the referrers API, and where a registry has none, by the index that clients keep
 * under a tag made of the digest.
 */
export async function fetchReferrers(
  repository: Repository,
  request: ReferrersRequest,
): Promise<readonly Descriptor[]> {
  const { artifactType } = request;
  const found = (await askApi(repository, request)) ?? (await readTag(repository, request));
  // Registries may leave the choice to their clients.
  return found.filter(
    (descriptor) => artifactType === undefined || descriptor.artifactType === artifactType,
  );
}

/** The tag under which clients keep a digest's referrers: `sha256-<hex>`. */
export function referrersTag(digest: string): string {
  const { algorithm, hex } = parseDigest(digest);
  return `${algorithm}-${hex.slice(0, 64)}`;
}

async function askApi(
  repository: Repository,
  { digest, artifactType, signal }: ReferrersRequest,
): Promise<readonly Descriptor[] | undefined> {
  const query =
    artifactType === undefined ? "" : `?artifactType=${encodeURIComponent(artifactType)}`;
  const first = {
    target: `referrers/${digest}${query}`,
    what: "referrers",
    name: `referrers of ${repository.name}@${digest}`,
    headers: { accept: mediaTypes.ociIndex },
  };
  const found: Descriptor[] = [];
  try {
    for await (const { bytes } of fetchPages(repository, first, { signal })) {
      const page = parseManifest(bytes, mediaTypes.ociIndex);
      if (page.kind === "index") found.push(...page.index.manifests);
      if (found.length > maxReferrers) throw invalid("referrers", `are more than ${maxReferrers}`);
    }
    return found;
  } catch (error) {
    if (isLongshoreError(error, "IMAGE_NOT_FOUND")) return undefined;
    throw error;
  }
}

async function readTag(
  repository: Repository,
  { digest, signal }: ReferrersRequest,
): Promise<readonly Descriptor[]> {
  try {
    const target = { reference: referrersTag(digest) };
    const document = await fetchRemoteManifest(repository, target, { signal });
    return document.kind === "index" ? document.index.manifests : [];
  } catch (error) {
    if (isLongshoreError(error, "IMAGE_NOT_FOUND")) return [];
    throw error;
  }
}
