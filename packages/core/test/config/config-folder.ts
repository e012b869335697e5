import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig, type LoadConfigOptions, type LoadedConfig } from "../../src/index.ts";

export interface ConfigFolder extends AsyncDisposable {
  readonly path: string;
  /** Loads a configuration whose file has this text, in an environment that has nothing else. */
  load(text: string, options?: Omit<LoadConfigOptions, "file">): Promise<LoadedConfig>;
  write(name: string, text: string | Uint8Array): Promise<string>;
}

export async function configFolder(): Promise<ConfigFolder> {
  const path = await mkdtemp(join(tmpdir(), "longshore-config-"));
  const write = async (name: string, text: string | Uint8Array): Promise<string> => {
    const file = join(path, name);
    await writeFile(file, text);
    return file;
  };
  return {
    path,
    write,
    async load(text, options) {
      const file = await write("worker.yaml", text);
      return loadConfig({ env: {}, ...options, file });
    },
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}
