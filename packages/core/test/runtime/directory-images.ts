import { createHash } from "node:crypto";
import { cp, lstat, mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { LongshoreError, nanosecondsFromMs, type Image, type ImageClient } from "@longshore/core";

/** An image store in which an image is a directory of files. */
export interface DirectoryImages extends ImageClient {
  /** Where the files of an image lie, by name or id. */
  locate(ref: string): { readonly id: string; readonly path: string } | undefined;
}

/**
 * @param registry directory with one directory of files for each image that can be pulled
 * @param store directory for the images that were pulled
 */
export function directoryImages(registry: string, store: string): DirectoryImages {
  const images = new Map<string, { image: Image; path: string }>();
  /** By id: whoever pulls the same image waits for the first */
  const copies = new Map<string, Promise<void>>();
  const find = (ref: string) =>
    images.get(ref) ??
    [...images.values()].find(({ image }) => image.repoTags.includes(shortName(ref)));

  return {
    locate(ref) {
      const found = find(ref);
      return found && { id: found.image.id, path: found.path };
    },
    async listImages(filter) {
      const ref = filter?.image?.image ?? "";
      if (ref !== "") return [find(ref)?.image].filter((image) => image !== undefined);
      return [...images.values()].map(({ image }) => image);
    },
    async imageStatus({ image }) {
      return { image: find(image.image)?.image };
    },
    async pullImage({ image }, { signal, onProgress } = {}) {
      signal?.throwIfAborted();
      const name = shortName(image.image);
      if (!/^[a-z0-9-]+$/.test(name)) {
        throw new LongshoreError("VALIDATION_ERROR", `"${image.image}" is not an image name.`);
      }
      const source = join(registry, name);
      onProgress?.({ phase: "resolve", receivedBytes: 0 });
      const { id, size } = await digest(source).catch((error: unknown) => {
        const message = `The registry has no image "${name}".`;
        throw new LongshoreError("IMAGE_NOT_FOUND", message, { cause: error });
      });
      const path = join(store, id.replace(":", "-"));
      const copied = copies.get(id) ?? copyOnce(source, path);
      copies.set(id, copied);
      await copied;
      signal?.throwIfAborted();
      const repoTags = [...(images.get(id)?.image.repoTags ?? []), name];
      images.set(id, {
        path,
        image: { id, repoTags, repoDigests: [], size, pinned: false },
      });
      onProgress?.({ phase: "done", receivedBytes: size, totalBytes: size });
      return id;
    },
    async removeImage({ image }) {
      const found = find(image);
      if (found === undefined) return;
      images.delete(found.image.id);
      copies.delete(found.image.id);
      await rm(found.path, { recursive: true, force: true });
    },
    async imageFsInfo() {
      const usedBytes = [...images.values()].reduce((sum, { image }) => sum + image.size, 0);
      const timestamp = nanosecondsFromMs(Date.now());
      const usage = { timestamp, fsId: { mountpoint: store }, usedBytes };
      return { imageFilesystems: [usage], containerFilesystems: [] };
    },
    async [Symbol.asyncDispose]() {
      await rm(store, { recursive: true, force: true });
    },
  };
}

async function copyOnce(source: string, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await cp(source, `${path}.part`, { recursive: true, preserveTimestamps: true });
  await rename(`${path}.part`, path);
}

/** `base` for `docker.io/library/base:latest` */
function shortName(ref: string): string {
  return ref.replace(/^docker\.io\/library\//, "").replace(/:latest$/, "");
}

async function digest(root: string): Promise<{ id: string; size: number }> {
  const hash = createHash("sha256");
  let size = 0;
  const names = (await readdir(root, { recursive: true })).toSorted();
  for (const name of names) {
    const stat = await lstat(join(root, name));
    hash.update(`${name}\0${stat.mode}\0`);
    if (stat.isFile()) hash.update(await readFile(join(root, name)));
    size += stat.size;
  }
  return { id: `sha256:${hash.digest("hex")}`, size };
}
