import { LongshoreError } from "@longshore/core/errors";
import { parseImageSource } from "../registry/image-location.ts";
import { formatReference, type ImageReference } from "../registry/reference.ts";
import type { ImageDatabase } from "./image-database.ts";
import type { ImageRecord } from "./image-records.ts";

/** Shortest beginning of an id that is looked up. */
const minPrefixLength = 4;

/**
 * The image that a text means: its id (with or without `sha256:`, whole or its beginning), or a name with tag or digest.
 * A digest wins over a tag, and a name over the beginning of an id. A place like `oci:DIR` means no image of the store.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for a text that is neither, or a beginning that several ids have
 */
export function findImage(database: ImageDatabase, text: string): ImageRecord | undefined {
  if (/^sha256:[0-9a-f]{64}$/.test(text)) return database.imageById(text);
  if (/^[0-9a-f]{64}$/.test(text)) return database.imageById(`sha256:${text}`);
  const location = parseImageSource(text);
  // A layout or an archive is a place to pull from; what it holds changes without the store.
  if (location.kind !== "registry") return undefined;
  const byName = database.imageByName(storedName(location.reference));
  const prefix = text.replace(/^sha256:/, "");
  if (byName !== undefined || !isPrefix(prefix)) return byName;
  const candidates = database.imagesByPrefix(prefix);
  if (candidates.length > 1) {
    throw new LongshoreError(
      "VALIDATION_ERROR",
      `image: several images have an id that begins with ${text}; give more of it`,
      { details: { candidates: candidates.map(({ imageId }) => imageId) } },
    );
  }
  return candidates[0];
}

/**
 * As {@link findImage}, for an image that must be there; also one without a name, whose data somebody still holds.
 *
 * @throws {LongshoreError} `IMAGE_NOT_FOUND` for an image that is not in the store
 */
export function requireImage(database: ImageDatabase, text: string): ImageRecord {
  return found(database, findImage(database, text), text);
}

/**
 * As {@link findImage}, for an image that has not been removed.
 *
 * @throws {LongshoreError} `IMAGE_NOT_FOUND` for an image that is not in the store
 */
export function requireListedImage(database: ImageDatabase, text: string): ImageRecord {
  return found(database, findListedImage(database, text), text);
}

/** As {@link findImage}; images that were removed are not there, whoever still holds their data. */
export function findListedImage(database: ImageDatabase, text: string): ImageRecord | undefined {
  const image = findImage(database, text);
  return image !== undefined && isListed(database, image) ? image : undefined;
}

/** Whether an image is in the store as its users see it: those without a name are on their way out. */
export function isListed(database: ImageDatabase, { imageId, isPinned }: ImageRecord): boolean {
  return isPinned || database.names(imageId).length > 0;
}

function found(database: ImageDatabase, image: ImageRecord | undefined, text: string): ImageRecord {
  if (image !== undefined) return image;
  const alike = similarName(database, text);
  const hint = alike === undefined ? "" : ` Did you mean ${alike}?`;
  throw new LongshoreError("IMAGE_NOT_FOUND", `The image ${text} is not in the store.${hint}`, {
    details: { image: text, ...(alike !== undefined && { similar: alike }) },
  });
}

/** A name that ends as the text does: where it comes from, or which tag, was left out or taken for another one, or for a place. */
function similarName(database: ImageDatabase, text: string): string | undefined {
  const tagged = [...database.allNames().keys()].filter((name) => !name.includes("@"));
  const withoutTag = (name: string): string => name.replace(/:[^:/]*$/, "");
  const last = text.slice(text.lastIndexOf("/") + 1);
  return (
    tagged.find((name) => name.endsWith(`/${text}`)) ??
    tagged.find((name) => `/${withoutTag(name)}`.endsWith(`/${withoutTag(text)}`)) ??
    tagged.find((name) => name.endsWith(`/${last}`))
  );
}

/** The name under which the store keeps what a reference means: with its digest if it has one, else with its tag. */
export function storedName({ registry, repository, tag, digest }: ImageReference): string {
  return formatReference(
    digest === undefined ? { registry, repository, tag } : { registry, repository, digest },
  );
}

function isPrefix(text: string): boolean {
  return text.length >= minPrefixLength && /^[0-9a-f]+$/.test(text);
}
