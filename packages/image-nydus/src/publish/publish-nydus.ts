import { bufferedSink } from "../convert/buffered-sink.ts";
import { nydusAnnotations, nydusTypes } from "../lazy/nydus-manifest.ts";
import { blobWriter, type FinishedBlob } from "../rafs/blob-writer.ts";
import { fileSink } from "../rafs/byte-sink.ts";
import { writePackedBootstrap } from "../rafs/write-packed-bootstrap.ts";
import type { Descriptor } from "../registry/manifest.ts";
import { createTree, type FileTree } from "../tree/file-tree.ts";
import { bootstrapTar, readBlobMetaFile } from "./bootstrap-tar.ts";
import { chunkPacker } from "./chunk-packer.ts";
import { chunkSource } from "./chunk-source.ts";
import { packLayer, type PackedLayer } from "./pack-layer.ts";
import type { PackedBlob, PublishedImage, PublishOptions, ScratchFile } from "./published-image.ts";
import { readTree, type MapChunk } from "./read-tree.ts";
import { rewriteConfig, type DescribedLayer } from "./rewrite-config.ts";
import { writePacked } from "./write-packed.ts";

export interface PublishNydusOptions extends PublishOptions {
  /** Of the chunks. @default "zstd" */
  readonly compression?: "zstd" | "none" | undefined;
  /** The ordinary image that this one is another form of */
  readonly subject?: Descriptor | undefined;
}

/**
 * Writes an image as a Nydus image, which is loaded on demand: one blob with the chunks of its files, each once, and a layer
 * with the metadata. The same image gives the same bytes, wherever its chunks lie; how they are compressed depends on the
 * zstd of this Node. The target is not finished by it.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when bytes of the image are damaged, `LIMIT_EXCEEDED` when they do not
 *   fit one blob; what the target throws
 */
export async function publishNydus(
  image: PublishedImage,
  options: PublishNydusOptions,
): Promise<Descriptor> {
  const { progress, subject } = options;
  progress.step("pack", image.logicalSize);
  await using data = await options.createScratch();
  await using layer = await options.createScratch();
  const { tree, blob } = await packChunks(image, data, options);
  const bootstrap = await packBootstrap({ image, tree, blob, data, layer }, options);
  const layers: PackedBlob[] = [];
  const described: DescribedLayer[] = [];
  if (blob !== undefined) {
    const descriptor = dataLayer(blob);
    layers.push({ descriptor, file: data.file });
    // A blob is what it is: nothing is unpacked from it.
    described.push({ diffId: descriptor.digest, comment: "Nydus data blob" });
  }
  layers.push({ descriptor: bootstrapLayer(bootstrap), file: layer.file });
  described.push({ diffId: bootstrap.diffId, comment: "Nydus bootstrap layer" });
  const config = rewriteConfig(image.config, described);
  const { annotations } = image;
  const manifest = { artifactType: nydusTypes.manifest, subject, annotations };
  return await writePacked({ layers, config, manifest }, options);
}

interface PackedFiles {
  /** The image's files, with their chunks in the new blob */
  readonly tree: FileTree;
  /** Absent for an image whose files are all empty */
  readonly blob: FinishedBlob | undefined;
}

async function packChunks(
  { filesystem, blobs }: PublishedImage,
  { file }: ScratchFile,
  options: PublishNydusOptions,
): Promise<PackedFiles> {
  const { compression = "zstd", progress, signal } = options;
  const { chunkSize } = filesystem;
  const sink = bufferedSink(fileSink(file));
  const writer = blobWriter(sink, { chunkSize, compressor: compression, toc: true });
  const tree = createTree();
  const pack = chunkPacker(chunkSource(blobs, filesystem), writer, tree.chunks);
  const mapChunk: MapChunk = async (chunk) => {
    const packed = await pack(chunk);
    progress.add(chunk.size);
    return packed;
  };
  await readTree(filesystem, mapChunk, { signal, into: tree });
  const blob = writer.chunkCount === 0 ? undefined : await writer.finish();
  await sink.flush();
  return { tree, blob };
}

interface BootstrapJob extends PackedFiles {
  readonly image: PublishedImage;
  /** Holds the blob */
  readonly data: ScratchFile;
  /** Takes the layer */
  readonly layer: ScratchFile;
}

async function packBootstrap(
  { image, tree, blob, data, layer }: BootstrapJob,
  options: PublishNydusOptions,
): Promise<PackedLayer> {
  const { signal } = options;
  await using scratch = await options.createScratch();
  const { chunkSize } = image.filesystem;
  const blobs = blob === undefined ? [] : [blob];
  const { size } = await writePackedBootstrap(
    fileSink(scratch.file),
    { tree, blobs, chunkSize },
    signal === undefined ? {} : { signal },
  );
  const blobMetas = new Map<string, Buffer>();
  for (const listed of blobs) blobMetas.set(listed.id, await readBlobMetaFile(data.file, listed));
  const tar = bootstrapTar({ bootstrap: { file: scratch.file, size }, blobMetas });
  return await packLayer(tar, fileSink(layer.file), "gzip");
}

function dataLayer({ id, compressedSize }: FinishedBlob): Descriptor {
  return {
    mediaType: nydusTypes.blobLayer,
    digest: `sha256:${id}`,
    size: compressedSize,
    annotations: { [nydusAnnotations.blob]: "true" },
  };
}

function bootstrapLayer({ descriptor }: PackedLayer): Descriptor {
  return {
    ...descriptor,
    annotations: { [nydusAnnotations.bootstrap]: "true", [nydusAnnotations.fsVersion]: "6" },
  };
}
