import { maxDocumentBytes, documentTooLarge } from "./bounded-json.ts";
import { configPlatform, parseImageConfigFile } from "./image-config-file.ts";
import type { ConfigDocument, ImageSource, ResolvedImage, ResolveOptions } from "./image-source.ts";
import type { AnyManifest, Descriptor, IndexDocument, ManifestDocument } from "./manifest.ts";
import { isImageConfigType } from "./media-types.ts";
import { formatPlatform, hostPlatform, platformRank, type Platform } from "./platform.ts";
import { readAll } from "./read-all.ts";
import { imageNotFound, invalid, shown } from "./registry-errors.ts";
import { listPlatforms, matchPlatform } from "./select-platform.ts";

type Documents = Pick<ImageSource, "name" | "fetchManifest" | "openBlob">;

const maxNesting = 4;
/** Documents one resolution reads at most: an index can name thousands. */
const maxFetches = 64;

interface Search {
  readonly source: Documents;
  readonly platform: Platform;
  readonly options: ResolveOptions;
  readonly visited: Set<string>;
  /** Platforms that were seen without being in an index */
  readonly seen: Platform[];
}

type Found = Pick<ResolvedImage, "manifest" | "config">;

/** Walks from what the name stands for to the image of one platform. */
export async function resolveImage(
  source: Documents,
  options: ResolveOptions = {},
): Promise<ResolvedImage> {
  const platform = options.platform ?? hostPlatform();
  const search: Search = { source, platform, options, visited: new Set(), seen: [] };
  const top = await source.fetchManifest(undefined, options);
  const found =
    top.kind === "manifest" ? await readImage(search, top) : await findInIndex(search, top, 1);
  if (found === undefined) throw noMatch(search, top);
  return {
    digest: top.descriptor.digest,
    ...(top.kind === "index" && { index: top }),
    ...found,
    layers: found.manifest.manifest.layers,
  };
}

async function findInIndex(
  search: Search,
  document: IndexDocument,
  depth: number,
): Promise<Found | undefined> {
  if (depth > maxNesting) throw invalid("index", `is nested deeper than ${maxNesting} indexes`);
  const { platform, options } = search;
  const { artifactType } = options;
  const entries = document.index.manifests;
  const { matching, unlabelled, nested } = matchPlatform(entries, { platform, artifactType });
  const [best] = matching;
  if (best !== undefined) {
    const manifest = await fetchEntry(search, best);
    if (manifest.kind === "index") throw invalid("manifest", "the descriptor is not of an index");
    // The index has said what it runs on: a configuration that says less is believed.
    return { manifest, config: await readConfig(search, manifest) };
  }
  for (const descriptor of unlabelled) {
    const manifest = await fetchEntry(search, descriptor);
    const found =
      manifest.kind === "manifest" && isImageConfigType(manifest.manifest.config.mediaType)
        ? await readImage(search, manifest)
        : undefined;
    if (found !== undefined) return found;
  }
  for (const descriptor of nested) {
    const inner = await fetchEntry(search, descriptor);
    const found = inner.kind === "index" ? await findInIndex(search, inner, depth + 1) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

async function fetchEntry(search: Search, descriptor: Descriptor): Promise<AnyManifest> {
  const { source, visited, options } = search;
  if (visited.has(descriptor.digest)) throw invalid("index", "leads back to itself");
  if (visited.size >= maxFetches) throw invalid("index", `leads to over ${maxFetches} documents`);
  visited.add(descriptor.digest);
  return source.fetchManifest(descriptor, options);
}

/** The image of a manifest, when its configuration is for the platform or does not say. */
async function readImage(search: Search, manifest: ManifestDocument): Promise<Found | undefined> {
  const config = await readConfig(search, manifest);
  const offered = configPlatform(config.file);
  if (offered === undefined || platformRank(search.platform, offered) !== undefined) {
    return { manifest, config };
  }
  search.seen.push(offered);
  return undefined;
}

async function readConfig(search: Search, document: ManifestDocument): Promise<ConfigDocument> {
  const { source, options } = search;
  const descriptor = document.manifest.config;
  if (!isImageConfigType(descriptor.mediaType)) {
    throw invalid(
      "config.mediaType",
      `${source.name} is no container image, its config is ${shown(descriptor.mediaType)}`,
    );
  }
  if (descriptor.size > maxDocumentBytes) throw documentTooLarge("config");
  const blob = source.openBlob(descriptor, { signal: options.signal });
  const bytes = await readAll(blob, maxDocumentBytes, () => documentTooLarge("config"));
  return { descriptor, bytes, file: parseImageConfigFile(bytes) };
}

function noMatch(search: Search, top: AnyManifest): Error {
  const { source, platform, options, seen } = search;
  const listed =
    top.kind === "index" ? listPlatforms(top.index.manifests, options.artifactType) : "none";
  const others = seen.slice(0, 20).map(formatPlatform);
  const there = [...(listed === "none" && others.length > 0 ? [] : [listed]), ...others].join(", ");
  return imageNotFound(
    `${source.name} has no image for ${formatPlatform(platform)}; it has: ${there}.`,
  );
}
