import { LongshoreError } from "@longshore/core/errors";
import type { OwnerShiftOptions } from "./shift-owner.ts";

/**
 * For copies: unlike a mount, they cannot say "nobody".
 *
 * @param path of the file in the image
 */
export function refuseUnmapped(path: string): OwnerShiftOptions["unmapped"] {
  return (kind, id) => {
    throw new LongshoreError(
      "VALIDATION_ERROR",
      `${path} of the image belongs to ${kind} ${id}, whom the id mappings leave out.`,
      { details: { field: "idMappings", expected: `a mapping for ${kind} ${id}`, path } },
    );
  };
}
