import { chmod, lstat, readdir, rm } from "node:fs/promises";

/**
 * Removes a directory with everything in it, also directories in it that their owner may not write, as images have them.
 * Never follows a link. Idempotent.
 */
export async function removeTree(directory: string): Promise<void> {
  try {
    await rm(directory, { recursive: true, force: true });
  } catch {
    await openUp(Buffer.from(directory));
    await rm(directory, { recursive: true, force: true });
  }
}

/** Gives the owner all rights on a directory and those in it. */
async function openUp(directory: Buffer): Promise<void> {
  if (!(await lstat(directory)).isDirectory()) return;
  await chmod(directory, 0o700);
  const entries = await readdir(directory, { withFileTypes: true, encoding: "buffer" });
  for (const entry of entries) {
    if (entry.isDirectory()) await openUp(Buffer.concat([directory, Buffer.from("/"), entry.name]));
  }
}
