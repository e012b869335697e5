import { mkdir, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Abortable } from "@longshore/core";
import { hasCode } from "@longshore/core/errors";
import { parseBoundedJson } from "../bounded-json.ts";
import type { BlobOutcome, ImageTarget } from "../image-target.ts";
import { checked, indexSchema, parseManifest, type Descriptor } from "../manifest.ts";
import { verifyBlob } from "../verified-stream.ts";
import { layoutIndex, layoutMarker, withEntry, type LayoutEntry } from "./layout-index.ts";
import { createFile, replaceFile } from "./new-file.ts";
import { blobPath } from "./oci-layout.ts";

interface NewEntry {
  readonly descriptor: Descriptor;
  readonly name: string | undefined;
}

/**
 * Writes images to an OCI layout directory, which is made when it is not there. Each file is complete or not there at all;
 * names change when the target is finished. One target at a time may change a directory.
 */
export async function ociLayoutTarget(directory: string, tag?: string): Promise<ImageTarget> {
  await mkdir(directory, { recursive: true });
  const added: NewEntry[] = [];

  async function writeBlob(
    descriptor: Descriptor,
    content: () => AsyncIterable<Buffer>,
    options: Abortable = {},
  ): Promise<BlobOutcome> {
    options.signal?.throwIfAborted();
    const path = join(directory, blobPath(descriptor.digest));
    if ((await fileSize(path)) === descriptor.size) return "exists";
    await mkdir(dirname(path), { recursive: true });
    await using file = await createFile(path);
    for await (const chunk of verifyBlob(content(), descriptor)) {
      options.signal?.throwIfAborted();
      await file.handle.writeFile(chunk);
    }
    await file.commit();
    return "written";
  }

  return {
    name: tag === undefined ? `oci:${directory}` : `oci:${directory}:${tag}`,
    takesIndexes: true,
    writeBlob,
    async writeManifest({ bytes, mediaType }, { as = "digest", signal } = {}) {
      const document = parseManifest(bytes, mediaType);
      const { descriptor } = document;
      await writeBlob(descriptor, () => once(bytes), { signal });
      const body = document.kind === "index" ? document.index : document.manifest;
      // What refers to something is found by nothing but an entry of its own.
      if (as === "name" || body.subject !== undefined) {
        added.push({ descriptor, name: as === "name" ? tag : undefined });
      }
      return descriptor;
    },
    async finish({ signal } = {}) {
      signal?.throwIfAborted();
      let entries = await readEntries(join(directory, "index.json"));
      for (const { descriptor, name } of added) entries = withEntry(entries, descriptor, name);
      await replaceFile(join(directory, "oci-layout"), layoutMarker);
      await replaceFile(join(directory, "index.json"), layoutIndex(entries));
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** A stream of one piece. */
export async function* once(bytes: Buffer): AsyncGenerator<Buffer, void, undefined> {
  yield bytes;
}

async function readEntries(path: string): Promise<readonly LayoutEntry[]> {
  try {
    const json = parseBoundedJson(await readFile(path), "index.json");
    checked(indexSchema, json, "index.json");
    return (json as { manifests: LayoutEntry[] }).manifests;
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

async function fileSize(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return hasCode(error, "ENOENT");
}
