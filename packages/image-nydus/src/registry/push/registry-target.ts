import type { Repository } from "../client/repository.ts";
import type { ImageTarget } from "../image-target.ts";
import { formatReference, type ImageReference } from "../reference.ts";
import { checksumMismatch } from "../registry-errors.ts";
import { digestOf } from "../digest.ts";
import { pushBlob } from "./push-blob.ts";
import { pushManifest } from "./push-manifest.ts";

export interface RegistryTargetOptions {
  readonly reference: ImageReference;
  readonly repository: Repository;
  /** Bytes of a piece of an upload; absent: one request for each blob */
  readonly chunkBytes?: number | undefined;
}

/** Writes images to a registry. A reference with a digest only takes the manifest of that digest. */
export function registryTarget(options: RegistryTargetOptions): ImageTarget {
  const { reference, repository, chunkBytes } = options;
  const name = formatReference(reference);
  return {
    name,
    takesIndexes: true,
    writeBlob: (descriptor, content, callOptions) =>
      pushBlob(repository, { descriptor, content }, { ...callOptions, chunkBytes }),
    async writeManifest(manifest, { as = "digest", signal } = {}) {
      if (as === "digest") return pushManifest(repository, manifest, { signal });
      if (reference.digest !== undefined) {
        const actual = digestOf(manifest.bytes, reference.digest);
        if (actual !== reference.digest) throw checksumMismatch(name, reference.digest, actual);
      }
      return pushManifest(repository, manifest, { signal, tag: reference.tag });
    },
    // A registry has what it has answered for.
    finish: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
