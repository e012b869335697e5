import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface CommandFolder extends AsyncDisposable {
  readonly path: string;
  /** Puts a shell script into the folder, which `PATH` may then be. Resolves to its path. */
  add(name: string, script: string, mode?: number): Promise<string>;
}

/** A folder of commands that are made for one test. */
export async function commandFolder(): Promise<CommandFolder> {
  const path = await mkdtemp(join(tmpdir(), "longshore-commands-"));
  return {
    path,
    async add(name, script, mode = 0o755) {
      const file = join(path, name);
      await writeFile(file, `#!/bin/sh\n${script}\n`);
      await chmod(file, mode);
      return file;
    },
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}
