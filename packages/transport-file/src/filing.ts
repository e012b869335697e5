import { unlink } from "node:fs/promises";
import { join, parse } from "node:path";
import { encodeJobError, type JobError } from "@longshore/core";
import { linkWithoutOverwriting, writeFileAtomically } from "./atomic-file.ts";
import { leaseLost, type Claim } from "./claims.ts";
import { hasCode } from "./fs-error.ts";

/** Moves an answered job file out of the claims. */
export async function fileAway(claim: Claim, directory: string): Promise<void> {
  await file(claim, directory, () => Promise.resolve());
}

/** Moves a job file that came to nothing to `failed/`, with the reason for people and for programs beside it. */
export async function fileAsFailed(
  claim: Claim,
  directory: string,
  error: JobError,
): Promise<void> {
  await file(claim, directory, async (name) => {
    const stem = join(directory, parse(name).name);
    await writeFileAtomically(`${stem}.reason.txt`, `${error.code}: ${error.message}\n`);
    await writeFileAtomically(
      `${stem}.error.json`,
      `${JSON.stringify(encodeJobError(error), null, 2)}\n`,
    );
  });
}

/**
 * The claim goes last: a worker that dies before finds it again, and everything is written once more under the same name.
 */
async function file(
  claim: Claim,
  directory: string,
  complete: (name: string) => Promise<void>,
): Promise<void> {
  try {
    const name = await linkWithoutOverwriting(claim.path, directory, claim.name);
    await complete(name);
    await unlink(claim.path);
  } catch (error) {
    if (hasCode(error, "ENOENT")) throw leaseLost(claim.name);
    throw error;
  }
}
