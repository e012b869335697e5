import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RuntimeClient } from "@longshore/core";
import { directoryImages, type DirectoryImages } from "./directory-images.ts";
import { processRuntime } from "./process-runtime.ts";

/** A process runtime on a directory of its own, with one image, `base`, that can be pulled. */
export interface TempRuntime extends AsyncDisposable {
  readonly runtime: RuntimeClient;
  readonly images: DirectoryImages;
  readonly directory: string;
}

export async function tempRuntime(): Promise<TempRuntime> {
  const directory = await mkdtemp(join(tmpdir(), "longshore-runtime-"));
  const base = join(directory, "registry", "base");
  await mkdir(join(base, "etc"), { recursive: true });
  await writeFile(join(base, "etc", "motd"), "hello from the image\n");
  await mkdir(join(directory, "containers"));
  const images = directoryImages(join(directory, "registry"), join(directory, "store"));
  const runtime = processRuntime({ directory: join(directory, "containers"), images });
  return {
    runtime,
    images,
    directory,
    async [Symbol.asyncDispose]() {
      await runtime[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
