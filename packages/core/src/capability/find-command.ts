import { access, constants, stat } from "node:fs/promises";
import { delimiter, isAbsolute, join } from "node:path";

/**
 * The file a command stands for, when there is one that may be executed.
 *
 * @param path folders as in `PATH`; relative ones are left out
 */
export async function findCommand(name: string, path: string): Promise<string | undefined> {
  const folders = isAbsolute(name) ? [""] : path.split(delimiter).filter(isAbsolute);
  for (const folder of folders) {
    const file = join(folder, name);
    if (await isExecutable(file)) return file;
  }
  return undefined;
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    // A directory may be "executed", too.
    return (await stat(file)).isFile();
  } catch {
    // Not there, or not for this user.
    return false;
  }
}
