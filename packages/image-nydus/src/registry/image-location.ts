import { resolve } from "node:path";
import { parseReference, type ImageReference } from "./reference.ts";
import { invalid, shown } from "./registry-errors.ts";

/** Where an image is: in a registry, in an OCI layout directory, or in an archive of one of two kinds. */
export type ImageLocation =
  | { readonly kind: "registry"; readonly reference: ImageReference }
  | LocalImageLocation;

/** An image in the file system. */
export interface LocalImageLocation {
  readonly kind: "oci" | "oci-archive" | "docker-archive";
  /** Absolute path of the directory or file */
  readonly path: string;
  /**
   * Its name in there: the annotation `org.opencontainers.image.ref.name` of an OCI layout, an image reference in an
   * archive of Docker. Not needed when there is one image only.
   */
  readonly tag?: string | undefined;
}

const maxTagLength = 1_024;

/**
 * Reads where an image is: `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:REFERENCE]`, or an image
 * reference. The path ends at its first colon.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`
 */
export function parseImageSource(text: string): ImageLocation {
  const match = /^(oci|oci-archive|docker-archive):([^:]*)(?::(.*))?$/s.exec(text);
  const [, kind, path = "", tag] = match ?? [];
  // `oci:latest` could be meant as an image named oci; as with other tools, the prefix wins.
  if (kind !== "oci" && kind !== "oci-archive" && kind !== "docker-archive") {
    return { kind: "registry", reference: parseReference(text) };
  }
  if (path === "" || path.includes("\0")) {
    throw invalid("image", `after ${kind}: comes a path, got ${shown(text)}`);
  }
  if (tag === undefined) return { kind, path: resolve(path) };
  if (tag === "" || tag.length > maxTagLength || /[\0-\x20\x7f]/.test(tag)) {
    throw invalid("image", `after the path's colon comes the image's name, got ${shown(text)}`);
  }
  if (kind === "docker-archive") parseReference(tag);
  return { kind, path: resolve(path), tag };
}
