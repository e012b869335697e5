import type { Abortable } from "@longshore/core";
import { documentTooLarge, maxDocumentBytes } from "../bounded-json.ts";
import { digestOf, isDigest } from "../digest.ts";
import type { ImageSource, ListReferrersOptions, OpenBlobOptions } from "../image-source.ts";
import { parseManifest, type AnyManifest, type Descriptor } from "../manifest.ts";
import { isIndexType, isManifestType } from "../media-types.ts";
import { readAll } from "../read-all.ts";
import { checksumMismatch, imageNotFound, invalid } from "../registry-errors.ts";
import { assertRange } from "../blob-range.ts";
import { resolveImage } from "../resolve-image.ts";
import { verifyBlob, wrongSize } from "../verified-stream.ts";
import { refNameAnnotation, type LocalImages } from "./local-images.ts";

/** An image source over images in files. Owns them from now on. */
export function localSource(images: LocalImages, tag?: string): ImageSource {
  const name = tag === undefined ? images.name : `${images.name}:${tag}`;

  async function fetchManifest(
    wanted: Pick<Descriptor, "digest" | "mediaType" | "size"> = findEntry(images, tag),
    options: Abortable = {},
  ): Promise<AnyManifest> {
    options.signal?.throwIfAborted();
    if (wanted.size > maxDocumentBytes) throw documentTooLarge("manifest");
    await assertSize(images, wanted);
    const range = { start: 0, end: wanted.size };
    const source = images.read(wanted.digest, range, options);
    const bytes = await readAll(source, wanted.size, () => documentTooLarge("manifest"));
    const actual = digestOf(bytes, wanted.digest);
    if (actual !== wanted.digest) {
      throw checksumMismatch(`The content of ${wanted.digest}`, wanted.digest, actual);
    }
    return parseManifest(bytes, wanted.mediaType, wanted.digest);
  }

  async function* openBlob(
    descriptor: Descriptor,
    options: OpenBlobOptions = {},
  ): AsyncGenerator<Buffer, void, undefined> {
    options.signal?.throwIfAborted();
    await assertSize(images, descriptor);
    const range = { start: options.offset ?? 0, end: descriptor.size };
    yield* verifyBlob(images.read(descriptor.digest, range, options), descriptor, options);
  }

  const source: ImageSource = {
    name,
    fetchManifest,
    openBlob,
    resolve: (options) => resolveImage({ name, fetchManifest, openBlob }, options),
    async readRange(descriptor, range, options = {}) {
      assertRange(descriptor, range);
      await assertSize(images, descriptor);
      const { offset, length } = range;
      const part = { start: offset, end: offset + length };
      const read = images.read(descriptor.digest, part, options);
      const bytes = await readAll(read, length, () => wrongSize(descriptor.digest, length, "more"));
      if (bytes.length < length) throw wrongSize(descriptor.digest, descriptor.size, "less");
      return bytes;
    },
    async listReferrers(digest, options = {}) {
      return findReferrers(images, fetchManifest, { digest, ...options });
    },
    async listTags() {
      return [...new Set(images.entries.flatMap((entry) => nameOf(entry) ?? []))];
    },
    [Symbol.asyncDispose]: () => images[Symbol.asyncDispose](),
  };
  return source;
}

function findEntry(images: LocalImages, tag: string | undefined): Descriptor {
  const { entries } = images;
  const found =
    tag === undefined ? entries : entries.filter((entry) => isWanted(images, entry, tag));
  const [first, ...others] = found;
  if (first !== undefined && others.every((other) => other.digest === first.digest)) return first;
  const names = entries.flatMap((entry) => nameOf(entry) ?? []);
  const there = names.length === 0 ? "none with a name" : names.slice(0, 20).join(", ");
  if (first === undefined) {
    throw imageNotFound(
      `${images.name} has no image${tag === undefined ? "" : ` ${tag}`}; it has: ${there.slice(0, 1_000)}.`,
    );
  }
  throw invalid(
    "image",
    `${images.name} has several images, name one of them: ${there.slice(0, 1_000)}`,
  );
}

function isWanted(images: LocalImages, entry: Descriptor, tag: string): boolean {
  if (isDigest(tag)) return entry.digest === tag;
  const name = nameOf(entry);
  return name !== undefined && images.isNamed(tag, name);
}

function nameOf(entry: Descriptor): string | undefined {
  return entry.annotations?.[refNameAnnotation];
}

async function assertSize(
  images: LocalImages,
  descriptor: Pick<Descriptor, "digest" | "size">,
): Promise<void> {
  const size = await images.size(descriptor.digest);
  if (size === undefined) throw imageNotFound(`${images.name} has no ${descriptor.digest}.`);
  if (size !== descriptor.size)
    throw wrongSize(descriptor.digest, descriptor.size, `${size} bytes`);
}

async function findReferrers(
  images: LocalImages,
  fetchManifest: ImageSource["fetchManifest"],
  wanted: ListReferrersOptions & { readonly digest: string },
): Promise<readonly Descriptor[]> {
  const found = new Map<string, Descriptor>();
  for (const entry of images.entries) {
    if (!isManifestType(entry.mediaType) && !isIndexType(entry.mediaType)) continue;
    const document = await fetchManifest(entry, wanted);
    const body = document.kind === "index" ? document.index : document.manifest;
    if (body.subject?.digest !== wanted.digest) continue;
    const configType =
      document.kind === "manifest" ? document.manifest.config.mediaType : undefined;
    const artifactType = body.artifactType ?? configType;
    if (wanted.artifactType !== undefined && artifactType !== wanted.artifactType) continue;
    const { annotations } = body;
    found.set(entry.digest, {
      ...document.descriptor,
      ...(artifactType !== undefined && { artifactType }),
      ...(annotations && { annotations }),
    });
  }
  return [...found.values()];
}
