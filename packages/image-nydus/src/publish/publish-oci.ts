import { fileSink } from "../rafs/byte-sink.ts";
import type { Descriptor } from "../registry/manifest.ts";
import { chunkSource } from "./chunk-source.ts";
import { packLayer, type LayerCompression } from "./pack-layer.ts";
import type { PublishedImage, PublishOptions } from "./published-image.ts";
import { rewriteConfig } from "./rewrite-config.ts";
import { rootfsTar } from "./rootfs-tar.ts";
import { writePacked } from "./write-packed.ts";

export interface PublishOciOptions extends PublishOptions {
  /** Of the layer. @default "gzip" */
  readonly compression?: LayerCompression | undefined;
}

/**
 * Writes an image as an ordinary OCI image of one layer that holds all its files: the layers it once had are not kept. The
 * same image gives the same layer; how it is compressed depends on the zlib or zstd of this Node. The target is not finished
 * by it.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for files that no layer can hold, `IMAGE_CHECKSUM_MISMATCH` when bytes of the
 *   image are damaged; what the target throws
 */
export async function publishOci(
  image: PublishedImage,
  options: PublishOciOptions,
): Promise<Descriptor> {
  const { signal, progress, compression = "gzip" } = options;
  const { filesystem } = image;
  progress.step("pack", image.logicalSize);
  await using scratch = await options.createScratch();
  const tar = rootfsTar(filesystem, chunkSource(image.blobs, filesystem), {
    signal,
    onBytes: progress.add,
  });
  const { descriptor, diffId } = await packLayer(tar, fileSink(scratch.file), compression);
  const config = rewriteConfig(image.config, [{ diffId, comment: "All files of the image" }]);
  const { annotations } = image;
  return await writePacked(
    { layers: [{ descriptor, file: scratch.file }], config, manifest: { annotations } },
    options,
  );
}
