import { z } from "zod";
import { documentTooLarge, maxDocumentBytes, parseBoundedJson } from "../bounded-json.ts";
import { parseDigest } from "../digest.ts";
import { checked, indexSchema } from "../manifest.ts";
import { readAll } from "../read-all.ts";
import { imageNotFound, invalid } from "../registry-errors.ts";
import type { LayoutFiles } from "./layout-files.ts";
import type { LocalImages } from "./local-images.ts";

const layoutSchema = z.looseObject({ imageLayoutVersion: z.string() });

/** The images of an OCI layout, be it a directory or an archive. Owns the files from now on. */
export async function openOciLayout(files: LayoutFiles): Promise<LocalImages> {
  try {
    const layout = checked(layoutSchema, await readJson(files, "oci-layout"), "oci-layout");
    if (!layout.imageLayoutVersion.startsWith("1.")) {
      throw invalid("oci-layout.imageLayoutVersion", "expected version 1");
    }
    const { manifests } = checked(indexSchema, await readJson(files, "index.json"), "index.json");
    return {
      name: files.name,
      entries: manifests,
      isNamed: (wanted, name) => wanted === name,
      size: (digest) => files.size(blobPath(digest)),
      read: (digest, range, options) => files.read(blobPath(digest), range, options),
      [Symbol.asyncDispose]: () => files[Symbol.asyncDispose](),
    };
  } catch (error) {
    await files[Symbol.asyncDispose]();
    throw error;
  }
}

/** Path of a blob inside of an OCI layout. */
export function blobPath(digest: string): string {
  const { algorithm, hex } = parseDigest(digest);
  return `blobs/${algorithm}/${hex}`;
}

/** Reads a JSON file of an image's directory or archive. */
export async function readJson(files: LayoutFiles, path: string): Promise<unknown> {
  const size = await files.size(path);
  if (size === undefined) throw imageNotFound(`${files.name} has no file ${path}.`);
  if (size > maxDocumentBytes) throw documentTooLarge(path);
  const source = files.read(path, { start: 0, end: size });
  return parseBoundedJson(await readAll(source, size, () => documentTooLarge(path)), path);
}
