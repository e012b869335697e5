import { LongshoreError } from "@longshore/core/errors";
import { chunkLookup } from "../rafs/chunk-lookup.ts";
import { readRafsHeader } from "../rafs/rafs-header.ts";
import type { ImageSource } from "../registry/image-source.ts";
import type { Descriptor } from "../registry/manifest.ts";
import { mediaTypes } from "../registry/media-types.ts";
import type { BootstrapLayer } from "./bootstrap-layer.ts";
import type { LazyBlobSource } from "./lazy-blob-options.ts";
import type { NydusLayout } from "./nydus-manifest.ts";

export interface NydusBlobsOptions {
  /** Where the blobs are */
  readonly source: Pick<ImageSource, "readRange">;
  /** Other places that have the same blobs, asked when bytes were wrong */
  readonly mirrors?: readonly Pick<ImageSource, "readRange">[] | undefined;
  readonly layout: NydusLayout;
  readonly layer: BootstrapLayer;
}

/**
 * The blobs of a Nydus image, ready for `lazyBlobReader`: their bytes come from a registry or a layout, their digests from
 * the bootstrap.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` when the bootstrap needs a blob that the manifest does not name;
 *   `IMAGE_CHECKSUM_MISMATCH` when the bootstrap is damaged
 */
export function nydusBlobs(options: NydusBlobsOptions): readonly LazyBlobSource[] {
  const { layout, layer, source, mirrors = [] } = options;
  const { extended, blobs } = readRafsHeader(layer.bootstrap);
  const digests = chunkLookup(layer.bootstrap, extended);
  const sources = [source, ...mirrors];
  return blobs.map((blob, blobIndex) => {
    const descriptor = descriptorOf(blob.id, layout, blob.compressedSize);
    return {
      blob,
      meta: layer.blobMetas.get(blob.id),
      digestOf: (chunk) => digests.find(blobIndex, chunk),
      fetchRange(range, { signal, wrongAnswers }) {
        const from = sources[wrongAnswers % sources.length] ?? source;
        return from.readRange(descriptor, range, { signal });
      },
    };
  });
}

function descriptorOf(id: string, layout: NydusLayout, size: number): Descriptor {
  const listed = layout.blobs.get(id);
  if (listed !== undefined) return listed;
  if (layout.referenceBlobIds.includes(id)) {
    return { mediaType: mediaTypes.ociLayer, digest: `sha256:${id}`, size };
  }
  throw new LongshoreError(
    "VALIDATION_ERROR",
    `The manifest does not name blob ${id} of its image.`,
    {
      details: { field: "manifest.layers", expected: `a layer with the digest sha256:${id}` },
    },
  );
}
