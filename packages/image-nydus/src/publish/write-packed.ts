import type { Abortable } from "@longshore/core";
import type { BlobOutcome, ImageTarget } from "../registry/image-target.ts";
import { once } from "../registry/local/oci-layout-target.ts";
import type { Descriptor, ImageManifest } from "../registry/manifest.ts";
import { mediaTypes } from "../registry/media-types.ts";
import { filePieces } from "./file-pieces.ts";
import type { PackedBlob, PublishOptions } from "./published-image.ts";
import type { PushProgressReport } from "./push-progress.ts";
import type { PackedConfig } from "./rewrite-config.ts";

/** Everything that is sent of an image. */
export interface PackedImage {
  readonly layers: readonly PackedBlob[];
  readonly config: PackedConfig;
  /** What its manifest says besides */
  readonly manifest: Pick<ImageManifest, "artifactType" | "subject" | "annotations">;
}

/** Writes an image to a target: blobs, then the manifest. The target is not finished by it. */
export async function writePacked(
  image: PackedImage,
  options: Pick<PublishOptions, "target" | "progress" | "as" | "signal">,
): Promise<Descriptor> {
  const { target, progress, as = "name", signal } = options;
  const { layers, config } = image;
  const sizes = [config.descriptor, ...layers.map(({ descriptor }) => descriptor)];
  progress.step(
    "upload",
    sizes.reduce((sum, { size }) => sum + size, 0),
  );
  for (const { descriptor, file } of layers) {
    const content = (): AsyncIterable<Buffer> => filePieces(file, descriptor.size);
    await writeCounted({ target, progress, signal }, descriptor, content);
  }
  await writeCounted({ target, progress, signal }, config.descriptor, () => once(config.bytes));
  const bytes = manifestBytes(image);
  return target.writeManifest({ bytes, mediaType: mediaTypes.ociManifest }, { as, signal });
}

interface CountedTarget extends Abortable {
  readonly target: ImageTarget;
  readonly progress: PushProgressReport;
}

/** Writes a blob and counts its bytes once, however often they are asked for. */
async function writeCounted(
  { target, progress, signal }: CountedTarget,
  descriptor: Descriptor,
  content: () => AsyncIterable<Buffer>,
): Promise<BlobOutcome> {
  let counted = 0;
  async function* attempt(): AsyncGenerator<Buffer, void, undefined> {
    progress.add(-counted);
    counted = 0;
    for await (const piece of content()) {
      signal?.throwIfAborted();
      yield piece;
      counted += piece.length;
      progress.add(piece.length);
    }
  }
  const outcome = await target.writeBlob(descriptor, attempt, { signal });
  progress.add(descriptor.size - counted);
  return outcome;
}

/** Fields in an order that is always the same: the bytes are what the digest is of. */
function manifestBytes({ layers, config, manifest }: PackedImage): Buffer {
  const { artifactType, subject, annotations } = manifest;
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      ...(artifactType !== undefined && { artifactType }),
      config: config.descriptor,
      layers: layers.map(({ descriptor }) => descriptor),
      ...(subject !== undefined && { subject }),
      ...(annotations !== undefined && { annotations }),
    }),
  );
}
