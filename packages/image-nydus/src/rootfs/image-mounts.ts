import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, rmdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Abortable, Logger, RootfsIdMappings } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
import { moduleBeside } from "../thread/start-thread.ts";
import { mountFuse } from "../fuse/mount-fuse.ts";
import type { BlobReader } from "../mount/blob-reader.ts";
import { idMappingsKey } from "../mount/id-mappings.ts";
import { mountErofs } from "../mount/mount-erofs.ts";
import { mountIdmapped } from "../mount/mount-idmapped.ts";
import { mountNydusd } from "../mount/mount-nydusd.ts";
import { unmount } from "../mount/unmount.ts";
import type { MountRecords } from "../mount/mount-records.ts";
import type { MountMethod, MountProbe } from "../mount/probe-mounts.ts";
import { isAlive, ownProcess } from "../store/process-identity.ts";
import type { StoreLayout } from "../store/store-layout.ts";
import { keyedLock } from "./keyed-lock.ts";

/** Ways to show an image as a directory, without copying it. */
export type ImageMountMethod = Extract<
  MountMethod,
  "erofs-files" | "erofs-loop" | "fuse" | "nydusd"
>;

export const imageMountMethods: readonly ImageMountMethod[] = [
  "erofs-files",
  "erofs-loop",
  "fuse",
  "nydusd",
];

/** An image that can be mounted. */
export interface MountableImage {
  readonly bootstrapId: string;
  /** Files of its blobs, in the order of the bootstrap's device table */
  readonly devices: readonly string[];
  /** Reads blobs that are not all here; absent when they are */
  readonly openReader?: (() => Promise<BlobReader & AsyncDisposable>) | undefined;
}

export interface ImageMountsOptions {
  readonly layout: StoreLayout;
  readonly records: MountRecords;
  readonly logger: Logger;
  /** Best first */
  readonly methods: readonly ImageMountMethod[];
  probe(): Promise<readonly MountProbe[]>;
  /** Files of a mounted image could not be read */
  onReadError?(bootstrapId: string, error: unknown): void;
}

interface HoldOptions extends Abortable {
  /** Shows the image's files with shifted owners */
  readonly idMappings?: RootfsIdMappings | undefined;
}

/** Images as directories, each mounted once however many use it with the same owners. */
export interface ImageMounts extends AsyncDisposable {
  /**
   * Shows an image until all that hold it have released it.
   *
   * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` when none of the methods works here
   */
  hold(image: MountableImage, options?: HoldOptions): Promise<HeldImage>;
  mountAt(image: MountableImage, target: string, options?: Abortable): Promise<TargetMount>;
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

/** A mount that this process keeps up. */
interface ServedMount extends AsyncDisposable {
  /** Resolves when nothing is served any more, also after somebody else unmounted it; rejects when the server broke */
  readonly ended: Promise<void>;
}

/** An image at a directory of somebody else's choice. Disposing unmounts it. */
interface TargetMount extends AsyncDisposable {
  /** Absent for a mount that the kernel keeps without this process */
  readonly ended?: Promise<void> | undefined;
}

interface Held {
  readonly path: string;
  readonly mount: AsyncDisposable;
  count: number;
}

export function imageMounts(options: ImageMountsOptions): ImageMounts {
  const { layout, records, methods, logger } = options;
  // Two processes may show the same image; each has directories of its own.
  const directory = join(imagesDirectory(layout), ownDirectoryName());
  const held = new Map<string, Held>();
  const lock = keyedLock();
  let isDisposed = false;

  /** Why a method that works here does not do for an image. */
  function whyNot({ openReader }: MountableImage): string {
    return openReader === undefined
      ? "it works here, but not for this"
      : "it needs all of the image, which is loaded on demand and not all here";
  }

  /** Whether a method can get at the bytes of an image. */
  function canRead(method: ImageMountMethod, { devices, openReader }: MountableImage): boolean {
    if (method === "fuse") return true;
    if (openReader !== undefined) return false;
    // What was loaded on demand lies there as the kernel takes it, not as nydusd does.
    const isOurs = (path: string): boolean => dirname(path) === layout.blobDirectory;
    return method !== "nydusd" || devices.every(isOurs);
  }

  async function methodFor(
    image: MountableImage,
    idMappings?: RootfsIdMappings,
  ): Promise<ImageMountMethod | undefined> {
    const probes = await options.probe();
    const isAble = ({ available, shiftsIds }: MountProbe): boolean =>
      available && (idMappings === undefined || shiftsIds === true);
    return methods.find(
      (method) =>
        canRead(method, image) && probes.some((probe) => probe.method === method && isAble(probe)),
    );
  }

  async function unsupported(
    image: MountableImage,
    idMappings: RootfsIdMappings | undefined,
  ): Promise<LongshoreError> {
    const probes = await options.probe();
    const wanted: readonly MountMethod[] =
      idMappings === undefined ? methods : [...methods, "idmap"];
    const reasons = probes
      .filter(({ method }) => wanted.includes(method))
      .map(({ method, available, reason, fix }) => {
        const isOther = available && method !== "idmap";
        return isOther ? { method, reason: whyNot(image) } : { method, reason, fix };
      });
    const how = idMappings === undefined ? "" : " with shifted owners";
    return new LongshoreError(
      "RUNTIME_NOT_SUPPORTED",
      `Images cannot be mounted${how} here: ${reasons.map(({ method, reason }) => `${method}: ${reason}`).join("; ")}`,
      { details: { methods: reasons } },
    );
  }

  async function methodOf(
    image: MountableImage,
    idMappings?: RootfsIdMappings,
  ): Promise<ImageMountMethod> {
    const method = await methodFor(image, idMappings);
    if (method === undefined) throw await unsupported(image, idMappings);
    return method;
  }

  async function mount(
    image: MountableImage,
    target: string,
    { signal, ...how }: Abortable & { readonly method?: ImageMountMethod },
  ): Promise<ServedMount | undefined> {
    const method = how.method ?? (await methodOf(image));
    const { bootstrapId, devices } = image;
    logger.debug({ bootstrapId, method, target }, "image mounting");
    if (method === "fuse") return mountByFuse(image, target, { signal });
    if (method === "nydusd") {
      const [bootstrap, root] = [layout.blobPath(bootstrapId), nydusdDirectory(layout)];
      return mountNydusd({ bootstrap, blobs: devices, target, root, signal });
    }
    await mountErofs({
      bootstrap: layout.blobPath(bootstrapId),
      devices,
      target,
      backing: method === "erofs-loop" ? "loop" : "files",
      signal,
    });
    return undefined;
  }

  async function mountByFuse(
    { bootstrapId, devices, openReader }: MountableImage,
    target: string,
    { signal }: Abortable,
  ): Promise<ServedMount> {
    const input = await readShared(layout.blobPath(bootstrapId));
    const reader = await openReader?.();
    try {
      const mounted = await mountFuse({
        filesystem: {
          module: moduleBeside(import.meta.url, "./open-shared-bootstrap"),
          function: "openSharedBootstrap",
          input,
        },
        blobs: reader ?? layout.blobDirectory,
        heldBlobs: blobFiles(devices),
        target,
        signal,
        onReadError: ({ error }) => {
          logger.error({ err: error, bootstrapId }, "a file of an image could not be read");
          options.onReadError?.(bootstrapId, error);
        },
      });
      return {
        ended: mounted.closed,
        async [Symbol.asyncDispose]() {
          await mounted[Symbol.asyncDispose]();
          await reader?.[Symbol.asyncDispose]();
        },
      };
    } catch (error) {
      await reader?.[Symbol.asyncDispose]();
      throw error;
    }
  }

  async function end(key: string, { mount: mounted, path }: Held): Promise<void> {
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
        return { path: known.path, release: releaseOf(key, known) };
      }
      const path = join(directory, key);
      await mkdir(path, { recursive: true, mode: 0o711 });
      try {
        const mounted = await records.mount(path, () => make(path));
        const fresh: Held = { path, mount: mounted, count: 1 };
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
        if (entry.count === 0 && held.get(key) === entry) await end(key, entry);
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

/** Where daemons of Nydus work. */
export function nydusdDirectory({ mountDirectory }: StoreLayout): string {
  return join(mountDirectory, "nydusd");
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

/** Files of an image's blobs by the blobs' ids, with which their names begin. */
export function blobFiles(devices: readonly string[]): ReadonlyMap<string, string> {
  return new Map(devices.map((path) => [basename(path).slice(0, 64), path]));
}

/** The file in memory that threads share. */
async function readShared(path: string): Promise<SharedArrayBuffer> {
  await using file = await open(path, "r");
  const { size } = await file.stat();
  const shared = new SharedArrayBuffer(size);
  const bytes = Buffer.from(shared);
  for (let position = 0; position < size;) {
    const { bytesRead } = await file.read(bytes, position, size - position, position);
    if (bytesRead === 0) throw new LongshoreError("IO_ERROR", `${path} ends at ${position}.`);
    position += bytesRead;
  }
  return shared;
}
