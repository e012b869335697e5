import { randomUUID } from "node:crypto";
import { mkdir, readdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import type { Abortable, RootfsIdMappings } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
import { idMappingsKey } from "../mount/id-mappings.ts";
import { mountIdmapped } from "../mount/mount-idmapped.ts";
import { unmount } from "../mount/unmount.ts";
import type { MountRecords } from "../mount/mount-records.ts";
import { isAlive, ownProcess } from "../store/process-identity.ts";
import type { StoreLayout } from "../store/store-layout.ts";
import { imageMounter, type ImageMounterOptions } from "./image-mounter.ts";
import { keyedLock } from "./keyed-lock.ts";
import type { ImageMountMethod, MountableImage } from "./mountable-image.ts";

export interface ImageMountsOptions extends ImageMounterOptions {
  readonly records: MountRecords;
  /** How long the kernel keeps an image mounted that nobody holds, in milliseconds. @default 0 */
  readonly idleMs?: number | undefined;
}

interface HoldOptions extends Abortable {
  /** Shows the image's files with shifted owners */
  readonly idMappings?: RootfsIdMappings | undefined;
}

/** Images as directories, each mounted once however many use it with the same owners. */
export interface ImageMounts extends AsyncDisposable {
  /**
   * Shows an image until all that hold it have released it, and for the idle time after that.
   *
   * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` when none of the methods works here
   */
  hold(image: MountableImage, options?: HoldOptions): Promise<HeldImage>;
  mountAt(image: MountableImage, target: string, options?: Abortable): Promise<TargetMount>;
  /** Unmounts what nobody holds. */
  endIdle(): Promise<void>;
  /** The method for an image; `undefined` when there is none. */
  methodFor(
    image: MountableImage,
    idMappings?: RootfsIdMappings,
  ): Promise<ImageMountMethod | undefined>;
}

/** An image that is shown as a directory. */
interface HeldImage {
  readonly path: string;
  /** Idempotent */
  release(): Promise<void>;
}

/** An image at a directory of somebody else's choice. Disposing unmounts it. */
interface TargetMount extends AsyncDisposable {
  /** Absent for a mount that the kernel keeps without this process */
  readonly ended?: Promise<void> | undefined;
}

interface Held {
  readonly path: string;
  readonly mount: AsyncDisposable;
  /** Whether the mount needs nothing of this process, and so may stay for the next who holds it */
  readonly isKernels: boolean;
  count: number;
  idleTimer?: NodeJS.Timeout | undefined;
}

export function imageMounts(options: ImageMountsOptions): ImageMounts {
  const { layout, records, logger, idleMs = 0 } = options;
  const { methodFor, methodOf, mount } = imageMounter(options);
  // Two processes may show the same image; each has directories of its own.
  const directory = join(imagesDirectory(layout), ownDirectoryName());
  const held = new Map<string, Held>();
  const lock = keyedLock();
  let isDisposed = false;

  async function end(key: string, { mount: mounted, path, idleTimer }: Held): Promise<void> {
    clearTimeout(idleTimer);
    held.delete(key);
    await mounted[Symbol.asyncDispose]();
    await removeEmpty(path);
  }

  /** @param make mounts it at the path, and returns what ends with the mount or serves it */
  function share(
    key: string,
    make: (path: string) => Promise<AsyncDisposable | undefined>,
  ): Promise<HeldImage> {
    return lock.run(key, async () => {
      if (isDisposed) throw new LongshoreError("IO_ERROR", "The image store is closed.");
      const known = held.get(key);
      if (known !== undefined) {
        known.count += 1;
        clearTimeout(known.idleTimer);
        return { path: known.path, release: releaseOf(key, known) };
      }
      const path = join(directory, key);
      await mkdir(path, { recursive: true, mode: 0o711 });
      try {
        let isKernels = false;
        const mounted = await records.mount(path, async () => {
          const served = await make(path);
          isKernels = served === undefined;
          return served;
        });
        const fresh: Held = { path, mount: mounted, isKernels, count: 1 };
        held.set(key, fresh);
        return { path, release: releaseOf(key, fresh) };
      } catch (error) {
        await removeEmpty(path);
        throw error;
      }
    });
  }

  function releaseOf(key: string, entry: Held): () => Promise<void> {
    let isReleased = false;
    return () =>
      lock.run(key, async () => {
        if (isReleased) return;
        isReleased = true;
        entry.count -= 1;
        if (entry.count > 0 || held.get(key) !== entry) return;
        if (idleMs === 0 || !entry.isKernels) await end(key, entry);
        else entry.idleTimer = setTimeout(() => void endWhenIdle(key, entry), idleMs).unref();
      });
  }

  async function endWhenIdle(key: string, entry: Held): Promise<void> {
    await lock
      .run(key, async () => {
        if (entry.count === 0 && held.get(key) === entry) await end(key, entry);
      })
      .catch((error: unknown) => {
        logger.warn({ err: error, path: entry.path }, "image could not be unmounted");
      });
  }

  async function hold(image: MountableImage, { signal }: Abortable): Promise<HeldImage> {
    return share(image.bootstrapId, (path) => mount(image, path, { signal }));
  }

  /** The image at one more place, besides where it is shown as it is. */
  async function holdShifted(
    image: MountableImage,
    idMappings: RootfsIdMappings,
    { signal }: Abortable,
  ): Promise<HeldImage> {
    const { bootstrapId } = image;
    const method = await methodOf(image, idMappings);
    // Another method than usual may be needed.
    const baseKey = method === (await methodFor(image)) ? bootstrapId : `${bootstrapId}.${method}`;
    return share(`${bootstrapId}.${idMappingsKey(idMappings)}`, async (target) => {
      const base = await share(baseKey, (path) => mount(image, path, { signal, method }));
      try {
        await mountIdmapped({ source: base.path, target, idMappings, signal });
      } catch (error) {
        await base.release();
        throw error;
      }
      return {
        async [Symbol.asyncDispose]() {
          await unmount(target);
          await base.release();
        },
      };
    });
  }

  return {
    methodFor,
    hold: (image, { signal, idMappings } = {}) =>
      idMappings === undefined
        ? hold(image, { signal })
        : holdShifted(image, idMappings, { signal }),
    async mountAt(image, target, { signal } = {}) {
      const mounted = await mount(image, target, { signal });
      return {
        ended: mounted?.ended,
        async [Symbol.asyncDispose]() {
          await mounted?.[Symbol.asyncDispose]();
          if (mounted === undefined) await unmount(target);
        },
      };
    },
    async endIdle() {
      await Promise.all([...held].map(([key, entry]) => endWhenIdle(key, entry)));
    },
    async [Symbol.asyncDispose]() {
      isDisposed = true;
      await lock.idle();
      // What shows others' files came after them.
      for (const [key, entry] of [...held].toReversed()) await end(key, entry);
      await removeEmpty(directory);
    },
  };
}

/**
 * Deletes the mount points of processes that are gone. Nothing is mounted there any more; whatever else is there stays.
 */
export async function removeOldMountPoints(layout: StoreLayout): Promise<void> {
  const root = imagesDirectory(layout);
  for (const name of await namesIn(root)) {
    const [pid = "", started = ""] = name.split(".");
    if (isAlive({ pid: Number(pid), started: started.replace("_", ":") })) continue;
    for (const inner of await namesIn(join(root, name))) await removeEmpty(join(root, name, inner));
    await removeEmpty(join(root, name));
  }
}

function imagesDirectory({ mountDirectory }: StoreLayout): string {
  return join(mountDirectory, "images");
}

/** A name that tells whose directory it is. Colons would part directories in the options of overlays. */
function ownDirectoryName(): string {
  const { pid, started } = ownProcess();
  return `${pid}.${started.replace(":", "_")}.${randomUUID().slice(0, 8)}`;
}

async function namesIn(directory: string): Promise<readonly string[]> {
  return readdir(directory).catch(() => []);
}

/** Never looks below, where something may be mounted after all. */
async function removeEmpty(directory: string): Promise<void> {
  await rmdir(directory).catch(() => undefined);
}
