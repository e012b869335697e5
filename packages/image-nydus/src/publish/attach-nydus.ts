import type { Abortable } from "@longshore/core";
import { isLongshoreError, LongshoreError } from "@longshore/core/errors";
import type { ImageSource } from "../registry/image-source.ts";
import type { ImageTarget } from "../registry/image-target.ts";
import type { AnyManifest, Descriptor, ManifestDocument } from "../registry/manifest.ts";
import { mediaTypes } from "../registry/media-types.ts";
import type { Platform } from "../registry/platform.ts";
import { nydusIndex } from "./nydus-index.ts";

/** How an image and its Nydus form are found by one name. */
export type NydusAttachment = "index" | "subject";

export interface AttachNydusOptions extends Abortable {
  readonly target: ImageTarget;
  /** Reads the place that the target writes to; `undefined` when there is nothing yet */
  openPresent(): Promise<ImageSource | undefined>;
  /** The ordinary image as the store has it */
  readonly original: ManifestDocument;
  readonly platform: Platform;
  /** Opens the place that the ordinary image came from */
  openOrigin(): Promise<ImageSource>;
  /** Repository of the same registry that may have the ordinary image's blobs */
  readonly mountFrom?: string | undefined;
  /** Writes the Nydus form under its digest alone. @param subject what it refers to, if to anything */
  publish(subject: Descriptor | undefined): Promise<Descriptor>;
}

/** What was written. */
export interface AttachedNydus {
  /** What the name stands for now */
  readonly top: Descriptor;
  readonly nydus: Descriptor;
}

/**
 * Writes the Nydus form of an image beside the image: in an index that has the name from now on, or so that it refers to the
 * image, which keeps the name. An ordinary image that is not there is copied from where it was pulled.
 *
 * @throws {LongshoreError} `STATE_CONFLICT` when the name stands for something else than the image; what both places throw
 */
export async function attachNydus(
  attachment: NydusAttachment,
  options: AttachNydusOptions,
): Promise<AttachedNydus> {
  const { original, target, platform, signal } = options;
  const present = await findPresent(options);
  // Found out before anything is sent.
  if (attachment === "index") {
    nydusIndex(present.top, {
      original: original.descriptor,
      nydus: original.descriptor,
      platform,
    });
  } else if (present.top !== undefined && !leadsTo(present.top, original)) {
    throw new LongshoreError(
      "STATE_CONFLICT",
      `${target.name} stands for another image now; pull it again, or push to another name.`,
    );
  }
  const hasToBeNamed = attachment === "subject" && present.top === undefined;
  if (!present.hasOriginal) await copyOriginal(options);
  if (hasToBeNamed) {
    const { bytes, descriptor } = original;
    await target.writeManifest({ bytes, mediaType: descriptor.mediaType }, { as: "name", signal });
  }
  if (attachment === "subject") {
    const nydus = await options.publish(original.descriptor);
    return { top: present.top?.descriptor ?? original.descriptor, nydus };
  }
  const nydus = await options.publish(undefined);
  const bytes = nydusIndex(present.top, { original: original.descriptor, nydus, platform });
  const index = { bytes, mediaType: mediaTypes.ociIndex };
  return { top: await target.writeManifest(index, { as: "name", signal }), nydus };
}

interface Present {
  /** What has the name */
  readonly top: AnyManifest | undefined;
  readonly hasOriginal: boolean;
}

async function findPresent(options: AttachNydusOptions): Promise<Present> {
  const { original, signal } = options;
  await using source = await options.openPresent();
  if (source === undefined) return { top: undefined, hasOriginal: false };
  const top = await ifThere(source.fetchManifest(undefined, { signal }));
  const found = await ifThere(source.fetchManifest(original.descriptor, { signal }));
  return { top, hasOriginal: found !== undefined };
}

async function ifThere<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found;
  } catch (error) {
    if (isLongshoreError(error, "IMAGE_NOT_FOUND")) return undefined;
    throw error;
  }
}

function leadsTo(top: AnyManifest, { descriptor }: ManifestDocument): boolean {
  if (top.descriptor.digest === descriptor.digest) return true;
  return (
    top.kind === "index" && top.index.manifests.some(({ digest }) => digest === descriptor.digest)
  );
}

async function copyOriginal(options: AttachNydusOptions): Promise<void> {
  const { original, target, mountFrom, signal } = options;
  await using origin = await options.openOrigin();
  const { config, layers } = original.manifest;
  for (const descriptor of [config, ...layers]) {
    const content = (): AsyncIterable<Buffer> => origin.openBlob(descriptor, { signal });
    await target.writeBlob(descriptor, content, { signal, mountFrom });
  }
  const { bytes, descriptor } = original;
  await target.writeManifest({ bytes, mediaType: descriptor.mediaType }, { signal });
}
