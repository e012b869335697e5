import { z } from "zod";
import { createHash } from "node:crypto";
import type { Abortable } from "@longshore/core";
import { documentTooLarge, maxDocumentBytes } from "../bounded-json.ts";
import { digestOf } from "../digest.ts";
import { parseImageConfigFile } from "../image-config-file.ts";
import { sniffCompression } from "../layer-decompressor.ts";
import { checked, type Descriptor } from "../manifest.ts";
import { mediaTypes } from "../media-types.ts";
import { formatReference, isTag, parseReference } from "../reference.ts";
import { readAll } from "../read-all.ts";
import { imageNotFound, invalid, shown } from "../registry-errors.ts";
import type { LayoutFiles } from "./layout-files.ts";
import { refNameAnnotation, type LocalImages } from "./local-images.ts";
import { readJson } from "./oci-layout.ts";

const pathSchema = z.string().min(1).max(4_096);
const manifestSchema = z
  .array(
    z.looseObject({
      Config: pathSchema,
      RepoTags: z.array(z.string().max(1_024)).max(4_096).nullish(),
      Layers: z.array(pathSchema).max(4_096).nullish(),
    }),
  )
  .max(4_096);

type DockerImage = z.infer<typeof manifestSchema>[number];

/** What a digest stands for: a file of the archive, or a manifest that was made up for it. */
type Content =
  | { readonly kind: "file"; readonly path: string; readonly size: number }
  | { readonly kind: "bytes"; readonly bytes: Buffer };

const layerTypes = {
  none: mediaTypes.ociLayer,
  gzip: mediaTypes.ociLayerGzip,
  zstd: mediaTypes.ociLayerZstd,
} as const;

/**
 * The images of an archive that `docker save` wrote. Such archives have no manifests: each image gets one that lists the
 * files as they are, so that its digest is not that of the image in a registry. Owns the files from now on.
 */
export async function openDockerArchive(
  files: LayoutFiles,
  options: Abortable = {},
): Promise<LocalImages> {
  try {
    const images = checked(manifestSchema, await readJson(files, "manifest.json"), "manifest.json");
    const contents = new Map<string, Content>();
    const entries: Descriptor[] = [];
    for (const image of images) {
      const descriptor = await addImage({ files, contents, options }, image);
      const names = image.RepoTags ?? [];
      for (const name of names) {
        entries.push({ ...descriptor, annotations: { [refNameAnnotation]: name } });
      }
      if (names.length === 0) entries.push(descriptor);
    }
    return {
      name: files.name,
      entries,
      isNamed: isSameReference,
      async size(digest) {
        const content = contents.get(digest);
        return content?.kind === "bytes" ? content.bytes.length : content?.size;
      },
      async *read(digest, range, readOptions) {
        const content = contents.get(digest);
        if (content === undefined) throw imageNotFound(`${files.name} has no ${digest}.`);
        if (content.kind === "bytes") yield content.bytes.subarray(range.start, range.end);
        else yield* files.read(content.path, range, readOptions);
      },
      [Symbol.asyncDispose]: () => files[Symbol.asyncDispose](),
    };
  } catch (error) {
    await files[Symbol.asyncDispose]();
    throw error;
  }
}

interface Archive {
  readonly files: LayoutFiles;
  readonly contents: Map<string, Content>;
  readonly options: Abortable;
}

async function addImage(archive: Archive, image: DockerImage): Promise<Descriptor> {
  const { files, contents } = archive;
  const configSize = await fileSize(files, image.Config);
  if (configSize > maxDocumentBytes) throw documentTooLarge("config");
  const configBytes = await readAll(
    files.read(image.Config, { start: 0, end: configSize }),
    configSize,
    () => documentTooLarge("config"),
  );
  const paths = image.Layers ?? [];
  const diffIds = parseImageConfigFile(configBytes).rootfs.diff_ids;
  if (diffIds.length !== paths.length) {
    throw invalid("manifest.json", `has ${paths.length} layers, the config ${diffIds.length}`);
  }
  const layers: Descriptor[] = [];
  for (const [index, path] of paths.entries()) {
    const layer = await layerDescriptor(archive, path, diffIds[index] ?? "");
    contents.set(layer.digest, { kind: "file", path, size: layer.size });
    layers.push(layer);
  }
  const config = {
    mediaType: mediaTypes.ociConfig,
    digest: digestOf(configBytes),
    size: configSize,
  };
  contents.set(config.digest, { kind: "bytes", bytes: configBytes });

  const mediaType = mediaTypes.ociManifest;
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config, layers }));
  const digest = digestOf(bytes);
  contents.set(digest, { kind: "bytes", bytes });
  return { mediaType, digest, size: bytes.length };
}

/** An uncompressed layer's digest is its diff id; that of a compressed one has to be computed. */
async function layerDescriptor(
  { files, options }: Archive,
  path: string,
  diffId: string,
): Promise<Descriptor> {
  const size = await fileSize(files, path);
  const head: Buffer[] = [];
  for await (const piece of files.read(path, { start: 0, end: Math.min(size, 262) })) {
    head.push(piece);
  }
  const compression = sniffCompression(Buffer.concat(head));
  const mediaType = layerTypes[compression];
  if (compression === "none") return { mediaType, digest: diffId, size };
  const hash = createHash("sha256");
  for await (const piece of files.read(path, { start: 0, end: size }, options)) hash.update(piece);
  return { mediaType, digest: `sha256:${hash.digest("hex")}`, size };
}

async function fileSize(files: LayoutFiles, path: string): Promise<number> {
  const size = await files.size(path);
  if (size === undefined)
    throw invalid("manifest.json", `names ${shown(path)}, which is not there`);
  return size;
}

function isSameReference(wanted: string, name: string): boolean {
  if (wanted === name) return true;
  try {
    const full = formatReference(parseReference(name));
    return formatReference(parseReference(wanted)) === full;
  } catch {
    // The archive may hold names that no reference can have: such a name is only equal to itself.
    return false;
  }
}

/** The name `docker load` knows a reference by: with its tag, which it has to have. */
export function dockerRepoTag(text: string): string {
  const { registry, repository, tag = "" } = parseReference(text);
  if (!isTag(tag)) throw invalid("image", `an archive of Docker needs a tag, got ${shown(text)}`);
  const host = registry === "docker.io" ? "" : `${registry}/`;
  const name = host === "" ? repository.replace(/^library\//, "") : repository;
  return `${host}${name}:${tag}`;
}
