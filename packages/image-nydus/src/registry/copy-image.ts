import PQueue from "p-queue";
import type { Abortable } from "@longshore/core";
import type { ImageSource } from "./image-source.ts";
import type { ImageTarget } from "./image-target.ts";
import type { AnyManifest, Descriptor, ManifestDocument } from "./manifest.ts";
import { isIndexType, isManifestType } from "./media-types.ts";
import type { Platform } from "./platform.ts";
import { invalid } from "./registry-errors.ts";

export interface CopyImageOptions extends Abortable {
  /** Only the image for this platform. @default everything that the name stands for */
  readonly platform?: Platform | undefined;
  /** Repository of the target's registry that may have the blobs: they need not be sent then */
  readonly mountFrom?: string | undefined;
  /** Blobs at the same time. @default 4 */
  readonly parallelism?: number | undefined;
}

const maxNesting = 4;
const maxManifests = 4_096;

/**
 * Copies an image: blobs, then manifests, then indexes, byte for byte. The target is not finished by it.
 *
 * @returns the descriptor of what has the target's name now
 */
export async function copyImage(
  source: ImageSource,
  target: ImageTarget,
  options: CopyImageOptions = {},
): Promise<Descriptor> {
  const { platform, parallelism = 4, mountFrom } = options;
  const failed = new AbortController();
  const signal =
    options.signal === undefined ? failed.signal : AbortSignal.any([options.signal, failed.signal]);
  const queue = new PQueue({ concurrency: parallelism });
  const blobs = new Map<string, Promise<unknown>>();
  const visited = new Set<string>();

  function copyBlob(descriptor: Descriptor): Promise<unknown> {
    const known = blobs.get(descriptor.digest);
    if (known !== undefined) return known;
    const content = (): AsyncIterable<Buffer> => source.openBlob(descriptor, { signal });
    const work = queue.add(() => target.writeBlob(descriptor, content, { signal, mountFrom }));
    blobs.set(descriptor.digest, work);
    return work;
  }

  async function copyManifest({ manifest }: ManifestDocument): Promise<void> {
    const copies = [manifest.config, ...manifest.layers].map(copyBlob);
    try {
      await Promise.all(copies);
    } catch (error) {
      // The others have nothing left to work for; they end before we do.
      failed.abort(error);
      await Promise.allSettled(copies);
      throw error;
    }
  }

  async function copyDocument(document: AnyManifest, depth: number): Promise<Descriptor> {
    if (depth > maxNesting) throw invalid("index", `is nested deeper than ${maxNesting} indexes`);
    if (document.kind === "manifest") await copyManifest(document);
    else {
      for (const entry of document.index.manifests) {
        if (visited.has(entry.digest)) continue;
        if (visited.size >= maxManifests) throw invalid("index", "leads to too many manifests");
        visited.add(entry.digest);
        if (!isIndexType(entry.mediaType) && !isManifestType(entry.mediaType)) {
          throw invalid("index", `leads to ${entry.mediaType}, which is no manifest`);
        }
        await copyDocument(await source.fetchManifest(entry, { signal }), depth + 1);
      }
    }
    const { bytes, descriptor } = document;
    const as = depth === 0 ? "name" : "digest";
    return target.writeManifest({ bytes, mediaType: descriptor.mediaType }, { as, signal });
  }

  const isOne = platform !== undefined || !target.takesIndexes;
  const top = isOne
    ? (await source.resolve({ platform, signal })).manifest
    : await source.fetchManifest(undefined, { signal });
  return copyDocument(top, 0);
}
