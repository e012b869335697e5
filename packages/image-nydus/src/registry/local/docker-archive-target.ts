import { createHash } from "node:crypto";
import PQueue from "p-queue";
import type { Abortable } from "@longshore/core";
import { documentTooLarge, maxDocumentBytes } from "../bounded-json.ts";
import { parseDigest } from "../digest.ts";
import { parseImageConfigFile } from "../image-config-file.ts";
import type { BlobOutcome, ImageTarget } from "../image-target.ts";
import { layerDecompressor } from "../layer-decompressor.ts";
import { parseManifest, type Descriptor, type ImageManifest } from "../manifest.ts";
import { isImageConfigType } from "../media-types.ts";
import { readAll } from "../read-all.ts";
import { checksumMismatch, imageNotFound, invalid } from "../registry-errors.ts";
import { verifyBlob } from "../verified-stream.ts";
import { dockerRepoTag } from "./docker-archive.ts";
import { createFile } from "./new-file.ts";
import { createTarWriter } from "./tar-writer.ts";

interface DockerImage {
  readonly Config: string;
  readonly RepoTags: readonly string[] | null;
  readonly Layers: readonly string[];
}

/** A layer in the archive: its file and the digest of its uncompressed bytes. */
interface StoredLayer {
  readonly path: string;
  readonly diffId: string;
}

/**
 * Writes an archive that `docker load` reads: layers without compression, no manifests, one platform for each name. It
 * takes the place of an old file when the target is finished.
 *
 * @param tag image reference; without one the image has no name
 */
export async function dockerArchiveTarget(path: string, tag?: string): Promise<ImageTarget> {
  const repoTag = tag === undefined ? undefined : dockerRepoTag(tag);
  const file = await createFile(path);
  const tar = createTarWriter(file.handle);
  const queue = new PQueue({ concurrency: 1 });
  const configs = new Map<string, Buffer>();
  const layers = new Map<string, StoredLayer>();
  const images: DockerImage[] = [];

  async function addConfig(
    descriptor: Descriptor,
    content: AsyncIterable<Buffer>,
  ): Promise<BlobOutcome> {
    if (configs.has(descriptor.digest)) return "exists";
    const verified = verifyBlob(content, descriptor);
    const bytes = await readAll(verified, maxDocumentBytes, () => documentTooLarge("config"));
    await tar.addBytes(configPath(descriptor), bytes);
    configs.set(descriptor.digest, bytes);
    return "written";
  }

  async function addLayer(
    descriptor: Descriptor,
    content: AsyncIterable<Buffer>,
  ): Promise<BlobOutcome> {
    if (layers.has(descriptor.digest)) return "exists";
    const layerPath = `${parseDigest(descriptor.digest).hex}.tar`;
    const hash = createHash("sha256");
    const bytes = layerDecompressor(descriptor.mediaType)(verifyBlob(content, descriptor));
    await tar.addStream(layerPath, hashed(bytes, hash));
    layers.set(descriptor.digest, { path: layerPath, diffId: `sha256:${hash.digest("hex")}` });
    return "written";
  }

  /** The image as the archive lists it, after a check that all of it is there. */
  function describe(manifest: ImageManifest, isNamed: boolean): DockerImage {
    const config = configs.get(manifest.config.digest);
    if (config === undefined) throw imageNotFound("The image's config was not written.");
    const diffIds = parseImageConfigFile(config).rootfs.diff_ids;
    const paths = manifest.layers.map((layer, index) => {
      const stored = layers.get(layer.digest);
      if (stored === undefined) throw imageNotFound(`Layer ${layer.digest} was not written.`);
      const diffId = diffIds[index] ?? "none";
      if (stored.diffId === diffId) return stored.path;
      throw checksumMismatch(`Layer ${layer.digest}`, diffId, stored.diffId);
    });
    return {
      Config: configPath(manifest.config),
      RepoTags: isNamed && repoTag !== undefined ? [repoTag] : null,
      Layers: paths,
    };
  }

  return {
    name: tag === undefined ? `docker-archive:${path}` : `docker-archive:${path}:${tag}`,
    takesIndexes: false,
    writeBlob(descriptor, content, { signal }: Abortable = {}) {
      return queue.add(async () => {
        signal?.throwIfAborted();
        return isImageConfigType(descriptor.mediaType)
          ? addConfig(descriptor, content())
          : addLayer(descriptor, content());
      });
    },
    async writeManifest({ bytes, mediaType }, { as = "digest" } = {}) {
      const document = parseManifest(bytes, mediaType);
      if (document.kind === "index") {
        throw invalid("image", "an archive of Docker holds one platform, choose one");
      }
      const image = describe(document.manifest, as === "name");
      images.push(image);
      return document.descriptor;
    },
    async finish({ signal } = {}) {
      await queue.add(async () => {
        signal?.throwIfAborted();
        await tar.addBytes("manifest.json", Buffer.from(JSON.stringify(images)));
        await tar.end();
        await file.commit();
      });
    },
    async [Symbol.asyncDispose]() {
      await queue.onIdle();
      await file[Symbol.asyncDispose]();
    },
  };
}

function configPath({ digest }: Descriptor): string {
  return `${parseDigest(digest).hex}.json`;
}

async function* hashed(
  source: AsyncIterable<Buffer>,
  hash: ReturnType<typeof createHash>,
): AsyncGenerator<Buffer, void, undefined> {
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
}
