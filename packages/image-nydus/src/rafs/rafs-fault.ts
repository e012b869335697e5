import { LongshoreError } from "@longshore/core/errors";
import type { ErofsRule } from "../erofs/erofs-fault.ts";

/** Rules of RAFS v6 that an image or a blob can break; `details.rule` of the error names it. */
export type RafsRule =
  | ErofsRule
  | "image-size"
  | "image-alignment"
  | "superblock-checksum"
  | "block-size"
  | "superblock-slots"
  | "inode-count"
  | "compression-field"
  | "shared-xattrs"
  | "blocks-without-devices"
  | "device-table-slot"
  | "device-table-range"
  | "feature-compat"
  | "feature-incompat"
  | "meta-block"
  | "root-nid"
  | "flags"
  | "flags-compressor"
  | "flags-digester"
  | "chunk-size"
  | "blob-table-range"
  | "blob-table-size"
  | "chunk-table-range"
  | "chunk-table-size"
  | "prefetch-table-range"
  | "prefetch-table-size"
  | "table-overlap"
  | "device-count"
  | "device-id"
  | "device-blocks"
  | "device-mapping"
  | "blob-id"
  | "blob-index"
  | "blob-chunk-size"
  | "blob-chunk-count"
  | "blob-compressor"
  | "blob-digester"
  | "blob-cipher"
  | "blob-features"
  | "blob-aligned"
  | "blob-size"
  | "blob-chunk-table"
  | "chunk-blob"
  | "chunk-address"
  | "chunk-digest"
  | "chunk-order"
  | "chunk-entry"
  | "chunk-missing"
  | "hole"
  | "file-layout"
  | "link-count"
  | "blob-meta-magic"
  | "blob-meta-size"
  | "blob-meta-header"
  | "blob-meta-chunk"
  | "toc"
  | "chunk-data";

/** An error saying that an image or blob breaks a rule of RAFS: code `IMAGE_CHECKSUM_MISMATCH`, the rule in details. */
export function rafsFault(rule: RafsRule, message: string): LongshoreError {
  return new LongshoreError("IMAGE_CHECKSUM_MISMATCH", `Nydus image is invalid: ${message}`, {
    details: { rule },
  });
}

/** An error saying that an image is of a valid form that is not read here: code `VALIDATION_ERROR`. */
export function unsupportedRafs(form: string, wayOut: string): LongshoreError {
  return new LongshoreError(
    "VALIDATION_ERROR",
    `Nydus images ${form} are not supported; ${wayOut}`,
    {
      details: { rule: "unsupported", form },
    },
  );
}
