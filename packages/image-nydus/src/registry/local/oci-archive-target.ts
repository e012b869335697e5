import PQueue from "p-queue";
import type { Abortable } from "@longshore/core";
import type { BlobOutcome, ImageTarget } from "../image-target.ts";
import { parseManifest, type Descriptor } from "../manifest.ts";
import { verifyBlob } from "../verified-stream.ts";
import { layoutIndex, layoutMarker, withEntry, type LayoutEntry } from "./layout-index.ts";
import { createFile } from "./new-file.ts";
import { blobPath } from "./oci-layout.ts";
import { createTarWriter } from "./tar-writer.ts";

/** Writes images to an OCI archive: a new file, which takes the place of an old one when the target is finished. */
export async function ociArchiveTarget(path: string, tag?: string): Promise<ImageTarget> {
  const file = await createFile(path);
  const tar = createTarWriter(file.handle);
  // A tar has one place to write at.
  const queue = new PQueue({ concurrency: 1 });
  const written = new Set<string>();
  let entries: readonly LayoutEntry[] = [];

  async function writeBlob(
    descriptor: Descriptor,
    content: () => AsyncIterable<Buffer>,
    { signal }: Abortable = {},
  ): Promise<BlobOutcome> {
    return queue.add(async () => {
      signal?.throwIfAborted();
      if (written.has(descriptor.digest)) return "exists";
      await tar.addStream(blobPath(descriptor.digest), verifyBlob(content(), descriptor));
      written.add(descriptor.digest);
      return "written";
    });
  }

  return {
    name: tag === undefined ? `oci-archive:${path}` : `oci-archive:${path}:${tag}`,
    takesIndexes: true,
    writeBlob,
    async writeManifest({ bytes, mediaType }, { as = "digest", signal } = {}) {
      const document = parseManifest(bytes, mediaType);
      const { descriptor } = document;
      const content = async function* content(): AsyncGenerator<Buffer, void, undefined> {
        yield bytes;
      };
      await writeBlob(descriptor, content, { signal });
      const body = document.kind === "index" ? document.index : document.manifest;
      if (as === "name" || body.subject !== undefined) {
        entries = withEntry(entries, descriptor, as === "name" ? tag : undefined);
      }
      return descriptor;
    },
    async finish({ signal } = {}) {
      await queue.add(async () => {
        signal?.throwIfAborted();
        await tar.addBytes("oci-layout", layoutMarker);
        await tar.addBytes("index.json", layoutIndex(entries));
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
