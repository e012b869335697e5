import { randomUUID } from "node:crypto";
import { isProcessGone, processIdentity, type ImageClient, type Logger } from "@longshore/core";

const repository = "localhost/longshore-build:";

/** Names of images that jobs build without giving them one: nobody can ask for those afterwards. */
export interface TemporaryImages {
  /** A new name, in use until it is released */
  reserve(): Promise<string>;
  /** Removes the image, together with what else is not in use, once no other job of this process builds. */
  release(name: string, logger: Logger): Promise<void>;
  /** Removes images of builds that are over, also those of processes that were killed. */
  sweep(): Promise<void>;
}

/** An image that has another name, too, belongs to whoever gave it that, and stays. */
export function temporaryImages(images: ImageClient): TemporaryImages {
  const inUse = new Set<string>();
  const ended = new Set<string>();

  const isOver = async (name: string): Promise<boolean> => {
    if (!name.startsWith(repository)) return false;
    // Another handler of this process may have its own.
    return ended.has(name) || isProcessGone(name.slice(name.indexOf(".", repository.length) + 1));
  };
  const sweep = async (): Promise<void> => {
    for (const { id, repoTags } of await images.listImages()) {
      const over = await Promise.all(repoTags.map(isOver));
      if (over.length > 0 && !over.includes(false)) await images.removeImage({ image: id });
    }
    // Names of images that stay are looked at again.
    const left = new Set((await images.listImages()).flatMap(({ repoTags }) => repoTags));
    for (const name of ended) if (!left.has(name)) ended.delete(name);
  };
  return {
    async reserve() {
      const name = `${repository}${randomUUID()}.${await processIdentity()}`;
      inUse.add(name);
      return name;
    },
    async release(name, logger) {
      inUse.delete(name);
      ended.add(name);
      // One that has just been built may be the same image, under a name that is not in the store yet.
      if (inUse.size > 0) return;
      await sweep().catch((error: unknown) => {
        // How the job ended matters more. It is tried again after the next build.
        logger.error({ err: error, image: name }, "built image not removed");
      });
    },
    sweep,
  };
}
