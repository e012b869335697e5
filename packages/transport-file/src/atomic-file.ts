import { randomBytes } from "node:crypto";
import { link, open, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, parse } from "node:path";
import { hasCode } from "./fs-error.ts";

/** Writes a file so that readers see all of it or nothing, also after a crash. */
export async function writeFileAtomically(path: string, content: string): Promise<void> {
  const temporary = join(dirname(path), `.${randomBytes(8).toString("hex")}.tmp`);
  try {
    const file = await open(temporary, "wx", 0o644);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/**
 * Gives a file a second name in a directory: its own, or `<stem>-<n><ext>` when that is taken. Never overwrites, because
 * making a hard link fails when the name exists. Called again after a crash it finds the name it made. Returns the name.
 */
export async function linkWithoutOverwriting(
  path: string,
  directory: string,
  name: string,
): Promise<string> {
  const { name: stem, ext } = parse(basename(name));
  for (let number = 0; ; number += 1) {
    const candidate = number === 0 ? name : `${stem}-${number}${ext}`;
    try {
      await link(path, join(directory, candidate));
      return candidate;
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw error;
      if (await isSameFile(path, join(directory, candidate))) return candidate;
    }
  }
}

async function isSameFile(a: string, b: string): Promise<boolean> {
  const [first, second] = await Promise.all([stat(a, { bigint: true }), stat(b, { bigint: true })]);
  return first.ino === second.ino && first.dev === second.dev;
}
