import { join, parse } from "node:path";
import { encodeJobError, type JobError } from "@longshore/core";
import { moveWithoutOverwriting, writeFileAtomically } from "./atomic-file.ts";
import { leaseLost, type Claim } from "./claims.ts";
import { hasCode } from "./fs-error.ts";

/** Moves an answered job file out of the claims. Returns the name it got. */
export async function fileAway(claim: Claim, directory: string): Promise<string> {
  try {
    return await moveWithoutOverwriting(claim.path, directory, claim.name);
  } catch (error) {
    if (hasCode(error, "ENOENT")) throw leaseLost(claim.name);
    throw error;
  }
}

/** Moves a job file that came to nothing to `failed/`, with the reason for people and for programs beside it. */
export async function fileAsFailed(
  claim: Claim,
  directory: string,
  error: JobError,
): Promise<void> {
  const name = await fileAway(claim, directory);
  const stem = join(directory, parse(name).name);
  await writeFileAtomically(`${stem}.reason.txt`, `${error.code}: ${error.message}\n`);
  await writeFileAtomically(
    `${stem}.error.json`,
    `${JSON.stringify(encodeJobError(error), null, 2)}\n`,
  );
}
