import { LongshoreError } from "@longshore/core/errors";
import type { ByteString } from "../tree/inode.ts";
import type { TarLimits } from "./tar-limits.ts";

/** Makes the error for a problem at a place that is known already. `limit` names the one that is crossed, if any. */
export type TarFailure = (problem: string, limit?: keyof TarLimits) => LongshoreError;

/**
 * Makes errors for tar files that cannot be used: `VALIDATION_ERROR`, with `{ problem, entry, offset, limit }` as details.
 *
 * @param offset bytes from the begin of the stream to the header of the entry
 * @param entry path of the entry, as far as it is known
 */
export function tarFailure(offset: number, entry?: ByteString): TarFailure {
  return (problem, limit) => {
    const path = entry === undefined ? {} : { entry: shortened(entry) };
    // As JSON, because a hostile name may hold anything, such as escape sequences of terminals.
    const name = entry === undefined ? "" : ` entry ${JSON.stringify(shortened(entry))}`;
    return new LongshoreError("VALIDATION_ERROR", `tar${name} at byte ${offset}: ${problem}`, {
      details: { problem, ...path, offset, ...(limit === undefined ? {} : { limit }) },
    });
  };
}

function shortened(path: ByteString): ByteString {
  return path.length <= 256 ? path : `${path.slice(0, 253)}...`;
}
