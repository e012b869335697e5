import { LongshoreError } from "@longshore/core/errors";

/** Rules of the EROFS format that an image can break; `details.rule` of the error names it. */
export type ErofsRule =
  | "size"
  | "superblock-magic"
  | "number-range"
  | "inode-range"
  | "inode-format"
  | "inode-type"
  | "inode-time"
  | "inline-data"
  | "data-range"
  | "directory-size"
  | "directory-block"
  | "directory-name"
  | "directory-order"
  | "directory-entry-type"
  | "directory-dots"
  | "directory-loop"
  | "symlink-size"
  | "xattr-area"
  | "xattr-shared"
  | "xattr-prefix"
  | "xattr-duplicate"
  | "chunk-format"
  | "chunk-range";

/** An error saying that an image breaks a rule of the format: code `IMAGE_CHECKSUM_MISMATCH`, with the rule in details. */
export function erofsFault(rule: ErofsRule, message: string): LongshoreError {
  return new LongshoreError("IMAGE_CHECKSUM_MISMATCH", `Image metadata is invalid: ${message}`, {
    details: { rule },
  });
}
