import { LongshoreError } from "@longshore/core/errors";
import type { ImageRecord } from "../store/image-records.ts";

/** No reference begins so: nothing is ever looked for there. */
const prefix = "(committed from ";

/** What an image that was made here says of where it came from. */
export function commitOrigin(imageId: string): string {
  return `${prefix}${imageId})`;
}

export function isCommitOrigin(origin: string): boolean {
  return origin.startsWith(prefix);
}

/** @throws {LongshoreError} `IMAGE_NOT_FOUND` for an image that was made here, and is nowhere else */
export function assertHasOrigin({
  imageId,
  origin,
}: Pick<ImageRecord, "imageId" | "origin">): void {
  if (!isCommitOrigin(origin)) return;
  throw new LongshoreError(
    "IMAGE_NOT_FOUND",
    `The image ${imageId} was committed in this store and came from nowhere else; push it to have it elsewhere, too.`,
    { details: { imageId } },
  );
}
