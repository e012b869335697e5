import type { BlobRange } from "./image-source.ts";
import type { Descriptor } from "./manifest.ts";

/** @throws {RangeError} for a range that does not lie inside of the blob */
export function assertRange(descriptor: Descriptor, { offset, length }: BlobRange): void {
  const isInside =
    Number.isSafeInteger(offset) &&
    Number.isSafeInteger(length) &&
    offset >= 0 &&
    length >= 0 &&
    offset + length <= descriptor.size;
  if (isInside) return;
  throw new RangeError(
    `a range must lie inside of the blob's ${descriptor.size} bytes, got ${length} from ${offset}`,
  );
}
