import { basename } from "node:path";
import { formatReference, parseReference, type ImageReference } from "../registry/reference.ts";
import { parseImageSource, type ImageLocation } from "../registry/image-location.ts";
import { storedName } from "./find-image.ts";
import type { ImageDatabase } from "./image-database.ts";
import type { LinkedName, TaggedName } from "./image-links.ts";

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

/**
 * Where an image came from, such that it is found again from any directory.
 *
 * @param text as the user wrote it
 */
export function originOf(location: ImageLocation, text: string): string {
  if (location.kind === "registry") return text;
  const { kind, path, tag } = location;
  // A path ends at its first colon, so one that has any can only be written in short.
  return path.includes(":") ? text : `${kind}:${path}${tag === undefined ? "" : `:${tag}`}`;
}

/**
 * The names that go when a name is taken off an image: with the last tag of a repository its digests, too, which nobody
 * gave it by hand.
 */
export function namesThatGoWith(name: string, all: readonly string[]): readonly string[] {
  const { registry, repository, digest } = parseReference(name);
  if (digest !== undefined) return [name];
  const ofRepository = all.filter((other) => {
    const reference = parseReference(other);
    return reference.registry === registry && reference.repository === repository;
  });
  const isLastTag = ofRepository.every((other) => other === name || other.includes("@"));
  return isLastTag ? ofRepository : [name];
}

/** The name as its links in the store are named; none for a name with a digest. */
export function taggedName(name: string): TaggedName | undefined {
  const { registry, repository, tag }: ImageReference = parseReference(name);
  return tag === undefined ? undefined : { registry, repository, tag };
}

/** Whether a stored name is the one a user wrote. */
export function isNamed(stored: string, text: string): boolean {
  const location = parseImageSource(text);
  if (location.kind !== "registry") return false;
  const { registry, repository, tag, digest } = location.reference;
  const suffix = digest === undefined ? `:${tag ?? "latest"}` : `@${digest}`;
  return stored === `${registry}/${repository}${suffix}`;
}

/** All tagged names of the images with what their links lead to. */
export function linkedNames(database: ImageDatabase): readonly LinkedName[] {
  return database.images().flatMap(({ imageId, bootstrapId }) =>
    database.names(imageId).flatMap((stored) => {
      const name = taggedName(stored);
      return name === undefined ? [] : [{ name, imageId, bootstrapId }];
    }),
  );
}

/** A file name with what no repository may have replaced. */
function toRepository(name: string): string {
  const cleaned = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "");
  return cleaned === "" ? "image" : cleaned;
}
