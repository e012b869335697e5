import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LongshoreError, type Abortable, type ImageClient } from "@longshore/core";

const nameAnnotation = "org.opencontainers.image.ref.name";

/**
 * Takes the one image of an OCI layout into a store under a full name, and resolves to its id.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for a layout that has not one image; what pulling throws
 */
export async function importBuiltImage(
  images: ImageClient,
  { directory, reference }: { readonly directory: string; readonly reference: string },
  { signal }: Abortable = {},
): Promise<string> {
  const path = join(directory, "index.json");
  const index = toObject(JSON.parse(await readFile(path, { encoding: "utf8", signal })));
  const { manifests } = index;
  const [manifest, ...others] = Array.isArray(manifests) ? manifests.map(toObject) : [];
  if (manifest === undefined || others.length > 0) {
    throw new LongshoreError("VALIDATION_ERROR", "The builder did not leave exactly one image.");
  }
  // A store names an image of a layout by its name in there.
  const named = { ...manifest, annotations: { [nameAnnotation]: reference } };
  await writeFile(`${path}.tmp`, JSON.stringify({ ...index, manifests: [named] }), { signal });
  await rename(`${path}.tmp`, path);
  return images.pullImage({ image: { image: `oci:${directory}:${reference}` } }, { signal });
}

function toObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}
