import { basename } from "node:path";
import { formatReference, parseReference, type ImageReference } from "../registry/reference.ts";
import type { ImageLocation } from "../registry/image-location.ts";
import { storedName } from "./find-image.ts";
import type { TaggedName } from "./store-layout.ts";

/**
 * The full names an image gets in the store: the one it was asked for by, and in a registry the one with its digest.
 *
 * An image out of a directory or an archive is named by its name in there when that has a registry or a repository, else
 * `localhost/<directory or file>:<tag>`.
 *
 * @param digest of the manifest or index that the name stands for
 */
export function namesFor(location: ImageLocation, digest: string): readonly string[] {
  if (location.kind === "registry") {
    const { registry, repository } = location.reference;
    const withDigest = formatReference({ registry, repository, digest });
    return [...new Set([storedName(location.reference), withDigest])];
  }
  const { path, tag } = location;
  if (tag !== undefined && /[/:]/.test(tag)) return [storedName(parseReference(tag))];
  const repository = toRepository(basename(path).replace(/\.(tar|tar\.gz|tgz|oci)$/, ""));
  return [storedName(parseReference(`localhost/${repository}:${tag ?? "latest"}`))];
}

/** The name as its links in the store are named; none for a name with a digest. */
export function taggedName(name: string): TaggedName | undefined {
  const { registry, repository, tag }: ImageReference = parseReference(name);
  return tag === undefined ? undefined : { registry, repository, tag };
}

/** A file name with what no repository may have replaced. */
function toRepository(name: string): string {
  const cleaned = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "");
  return cleaned === "" ? "image" : cleaned;
}
