import { existsSync } from "node:fs";
import { chmod, chown, lstat, readFile, rename, rm, utimes } from "node:fs/promises";
import { join } from "node:path";
import {
  LongshoreError,
  type Logger,
  type PreparedRootfs,
  type PrepareRootfsOptions,
  type Rootfs,
  type RootfsProvider,
} from "@longshore/core";
import { extractTree } from "../mount/extract-tree.ts";
import { localBlobReader } from "../mount/local-blob-reader.ts";
import { mountOverlay } from "../mount/mount-overlay.ts";
import type { MountRecords } from "../mount/mount-records.ts";
import type { MountProbe } from "../mount/probe-mounts.ts";
import { openBootstrap } from "../rafs/open-bootstrap.ts";
import { parseImageConfigFile } from "../registry/image-config-file.ts";
import { requireImage } from "../store/find-image.ts";
import { toImageConfig } from "../store/image-config.ts";
import type { ImageDatabase } from "../store/image-database.ts";
import type { ImageRecord, OwnerRecord } from "../store/image-records.ts";
import type { StoreLayout } from "../store/store-layout.ts";
import type { ImageMounts, MountableImage } from "./image-mounts.ts";
import { keyedLock } from "./keyed-lock.ts";
import { ownerDirectory } from "./owner-directories.ts";

export interface RootfsProviderOptions {
  readonly database: ImageDatabase;
  readonly layout: StoreLayout;
  readonly mounts: ImageMounts;
  readonly records: MountRecords;
  readonly logger: Logger;
  probe(): Promise<readonly MountProbe[]>;
  /** An image's files, by its metadata */
  findMountable(image: ImageRecord | OwnerRecord): Promise<MountableImage>;
}

/** How a root filesystem is made; what the database remembers of an owner. */
type RootfsForm = "overlay" | "overlay-directory" | "copy" | "block";

const defaultAccept: readonly Rootfs["kind"][] = ["overlay", "directory"];

/** What this process keeps up for an owner. */
interface Upkeep {
  readonly rootfs: Rootfs;
  end(): Promise<void>;
}

/** Root filesystems out of a store, with {@link AsyncDisposable} to let go of mounts; owners stay as they are. */
export function rootfsProvider(options: RootfsProviderOptions): RootfsProvider & AsyncDisposable {
  const { database, layout, mounts, records } = options;
  const root = join(layout.mountDirectory, "owners");
  const kept = new Map<string, Upkeep>();
  const withLock = keyedLock();

  async function prepare(
    ref: string,
    owner: string,
    prepareOptions: PrepareRootfsOptions,
  ): Promise<PreparedRootfs> {
    const known = database.owner(owner);
    const image = known === undefined ? requireImage(database, ref) : imageOf(known, ref);
    const record = known ?? (await newOwner(image, owner, prepareOptions));
    let upkeep = kept.get(owner);
    if (upkeep === undefined) {
      try {
        if (known === undefined) database.addOwner(record);
        upkeep = await keepUp(record, prepareOptions.signal);
        kept.set(owner, upkeep);
      } catch (error) {
        // What an owner had before stays its own.
        if (known === undefined) await forget(owner);
        throw error;
      }
    }
    return {
      imageId: record.imageId,
      config: toImageConfig(parseImageConfigFile(Buffer.from(image.config))),
      rootfs: upkeep.rootfs,
      [Symbol.asyncDispose]: () => release(owner),
    };
  }

  /** The image that an owner holds, which must be the one it asks for. */
  function imageOf(record: OwnerRecord, ref: string): ImageRecord {
    const held = database.imageById(record.imageId);
    const isSame = ref === record.imageId || requireImage(database, ref).imageId === record.imageId;
    if (held !== undefined && isSame) return held;
    throw new LongshoreError(
      "STATE_CONFLICT",
      `${record.owner} holds a root filesystem of ${record.imageId}, not of ${ref}.`,
      { details: { owner: record.owner, imageId: record.imageId } },
    );
  }

  async function newOwner(
    image: ImageRecord,
    owner: string,
    { accept = defaultAccept, readonly = false }: PrepareRootfsOptions,
  ): Promise<OwnerRecord> {
    const mountable = await options.findMountable(image);
    const form = await chooseForm(mountable, accept);
    const { imageId, bootstrapId } = image;
    return { owner, imageId, bootstrapId, kind: form, readonly };
  }

  async function chooseForm(
    image: MountableImage,
    accept: readonly Rootfs["kind"][],
  ): Promise<RootfsForm> {
    const canMount = (await mounts.methodFor(image)) !== undefined;
    const probes = await options.probe();
    const can = (method: MountProbe["method"]): boolean =>
      probes.some((probe) => probe.method === method && probe.available);
    for (const kind of accept) {
      if (kind === "overlay" && canMount) return "overlay";
      if (kind === "directory" && canMount && can("overlay")) return "overlay-directory";
      if (kind === "directory" && can("extract")) return "copy";
      if (kind === "block" && image.openReader === undefined) return "block";
    }
    throw new LongshoreError(
      "RUNTIME_NOT_SUPPORTED",
      `No root filesystem of the kinds ${accept.join(", ")} can be made here.`,
      {
        details: {
          accept,
          methods: probes.map(({ method, available, reason }) => ({ method, available, reason })),
        },
      },
    );
  }

  async function keepUp(record: OwnerRecord, signal: AbortSignal | undefined): Promise<Upkeep> {
    const image = await options.findMountable(record);
    const directory = ownerDirectory(root, record.owner);
    const { readonly } = record;
    const form = record.kind as RootfsForm;
    if (form === "block") return { rootfs: blockRootfs(image), end: () => Promise.resolve() };
    const isNew = !existsSync(directory.upper);
    await directory.make();
    if (form === "copy") {
      if (!existsSync(directory.copy)) await copyImage(image, directory.copy, signal);
      return {
        rootfs: { kind: "directory", path: directory.copy, readonly },
        end: () => Promise.resolve(),
      };
    }
    const lower = [await mounts.hold(image, { signal })] as const;
    if (isNew) await matchRoot(lower[0], directory.upper);
    const upper = { upperDir: directory.upper, workDir: directory.work };
    const release = (): Promise<void> => mounts.release(image.bootstrapId);
    if (form === "overlay") {
      return {
        rootfs: { kind: "overlay", lower, ...(!readonly && { upper }) },
        end: release,
      };
    }
    try {
      const merged = await records.mount(directory.merged, async () => {
        await mountOverlay({
          // An overlay that takes no changes needs two directories.
          lower: readonly ? [...lower, directory.upper] : lower,
          ...(!readonly && { upper: directory.upper, work: directory.work }),
          target: directory.merged,
          signal,
        });
        return undefined;
      });
      return {
        rootfs: { kind: "directory", path: directory.merged, readonly },
        async end() {
          await merged[Symbol.asyncDispose]();
          await release();
        },
      };
    } catch (error) {
      await release();
      throw error;
    }
  }

  function blockRootfs({ bootstrapId, devices }: MountableImage): Rootfs {
    return {
      kind: "block",
      devices: [
        {
          path: layout.blobPath(bootstrapId),
          filesystem: "erofs",
          dataDevices: devices,
        },
      ],
    };
  }

  async function copyImage(
    { bootstrapId, openReader }: MountableImage,
    directory: string,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const filesystem = openBootstrap(await readFile(layout.blobPath(bootstrapId)));
    using local = localBlobReader(layout.blobDirectory);
    await using lazy = await openReader?.();
    // A copy that a crash has cut off must not pass for a whole one.
    const partial = `${directory}.partial`;
    await rm(partial, { recursive: true, force: true });
    await extractTree(filesystem, lazy ?? local, { directory: partial, signal });
    await rename(partial, directory);
  }

  async function release(owner: string): Promise<void> {
    await withLock(owner, async () => {
      await kept.get(owner)?.end();
      kept.delete(owner);
      await forget(owner);
    });
  }

  async function forget(owner: string): Promise<void> {
    await ownerDirectory(root, owner).remove();
    database.removeOwner(owner);
  }

  return {
    prepareRootfs: (ref, owner, prepareOptions = {}) =>
      withLock(owner, () => {
        prepareOptions.signal?.throwIfAborted();
        return prepare(ref, owner, prepareOptions);
      }),
    releaseRootfs: (owner) => release(owner),
    listOwners: () => Promise.resolve(database.owners().map(({ owner }) => owner)),
    async [Symbol.asyncDispose]() {
      for (const [owner, upkeep] of kept) {
        await withLock(owner, async () => {
          kept.delete(owner);
          await upkeep.end();
        });
      }
    },
  };
}

/** The root of an overlay has the attributes of its topmost directory: those must be the image's. */
async function matchRoot(source: string, target: string): Promise<void> {
  const { mode, uid, gid, atime, mtime } = await lstat(source);
  await chown(target, uid, gid);
  await chmod(target, mode & 0o7777);
  await utimes(target, atime, mtime);
}
