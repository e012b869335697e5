import { LongshoreError } from "@longshore/core/errors";
import type { TreeLimits } from "./file-tree.ts";
import type { ByteString } from "./inode.ts";

/** Makes the error for an entry that cannot be applied: `VALIDATION_ERROR`, with `{ entry, problem, limit }` as details. */
export function layerError(
  path: ByteString,
  problem: string,
  limit?: keyof TreeLimits,
): LongshoreError {
  const entry = path.length <= 256 ? path : `${path.slice(0, 253)}...`;
  const message = `layer entry ${JSON.stringify(entry)}: ${problem}`;
  const details = { entry, problem, ...(limit === undefined ? {} : { limit }) };
  return new LongshoreError("VALIDATION_ERROR", message, { details });
}
