import { readFile } from "node:fs/promises";
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
import { holdBlobs, localBlobReader } from "../mount/local-blob-reader.ts";
import { mountOverlay } from "../mount/mount-overlay.ts";
import type { MountRecords } from "../mount/mount-records.ts";
import type { MountProbe } from "../mount/probe-mounts.ts";
import { openBootstrap, type RafsFilesystem } from "../rafs/open-bootstrap.ts";
import { parseImageConfigFile } from "../registry/image-config-file.ts";
import { requireImage, requireListedImage } from "../store/find-image.ts";
import { toImageConfig } from "../store/image-config.ts";
import type { ImageDatabase } from "../store/image-database.ts";
import type { ImageRecord, OwnerRecord } from "../store/image-records.ts";
import type { StoreLayout } from "../store/store-layout.ts";
import { blobFiles, type ImageMounts, type MountableImage } from "./image-mounts.ts";
import { keyedLock } from "./keyed-lock.ts";
import { makeLikeRoot } from "./make-like-root.ts";
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
  const lock = keyedLock();
  let isClosed = false;

  function assertOpen(): void {
    if (isClosed) throw new LongshoreError("IO_ERROR", "The image store is closed.");
  }

  async function prepare(
    ref: string,
    owner: string,
    prepareOptions: PrepareRootfsOptions,
  ): Promise<PreparedRootfs> {
    const known = database.owner(owner);
    const image = known === undefined ? requireListedImage(database, ref) : imageOf(known, ref);
    const record = known ?? (await newOwner(image, owner, prepareOptions));
    let upkeep = kept.get(owner);
    if (upkeep === undefined) {
      if (known === undefined) add(record);
      try {
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

  /** Writes an owner down: from then on the image's data stays. Meanwhile others may have been quicker. */
  function add(record: OwnerRecord): void {
    if (database.addOwner(record)) return;
    const { owner, imageId } = record;
    throw database.owner(owner) === undefined
      ? new LongshoreError("IMAGE_NOT_FOUND", `The image ${imageId} was removed just now.`, {
          details: { imageId },
        })
      : new LongshoreError("STATE_CONFLICT", `Another process prepares a root for ${owner}.`, {
          details: { owner },
        });
  }

  /** The image that an owner holds, which must be the one it asks for. */
  function imageOf(record: OwnerRecord, ref: string): ImageRecord {
    const held = database.imageById(record.imageId);
    if (held !== undefined && requireImage(database, ref).imageId === record.imageId) return held;
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
    if (form === "copy") {
      const path = await directory.fill("copy", (partial) => copyImage(image, partial, signal));
      return { rootfs: { kind: "directory", path, readonly }, end: () => Promise.resolve() };
    }
    const upperDir = await directory.fill("upper", async (partial) => {
      await makeLikeRoot(partial, await openImage(image));
    });
    const { work: workDir, merged: target } = await directory.makeMountPoints();
    const lower = [await mounts.hold(image, { signal })] as const;
    const releaseLower = (): Promise<void> => mounts.release(image.bootstrapId);
    if (form === "overlay") {
      return {
        rootfs: { kind: "overlay", lower, ...(!readonly && { upper: { upperDir, workDir } }) },
        end: releaseLower,
      };
    }
    try {
      const merged = await records.mount(target, async () => {
        await mountOverlay({
          // An overlay that takes no changes needs two directories.
          lower: readonly ? [...lower, upperDir] : lower,
          ...(!readonly && { upper: upperDir, work: workDir }),
          target,
          signal,
        });
        return undefined;
      });
      return {
        rootfs: { kind: "directory", path: target, readonly },
        async end() {
          await merged[Symbol.asyncDispose]();
          await releaseLower();
        },
      };
    } catch (error) {
      await releaseLower();
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

  async function openImage({ bootstrapId }: MountableImage): Promise<RafsFilesystem> {
    return openBootstrap(await readFile(layout.blobPath(bootstrapId)));
  }

  async function copyImage(
    image: MountableImage,
    directory: string,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const filesystem = await openImage(image);
    using held = holdBlobs(blobFiles(image.devices));
    using local = localBlobReader(layout.blobDirectory, held.files);
    await using lazy = await image.openReader?.();
    await extractTree(filesystem, lazy ?? local, { directory, signal });
  }

  async function release(owner: string): Promise<void> {
    await lock.run(owner, async () => {
      assertOpen();
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
      lock.run(owner, () => {
        prepareOptions.signal?.throwIfAborted();
        assertOpen();
        return prepare(ref, owner, prepareOptions);
      }),
    releaseRootfs: (owner) => release(owner),
    // oxlint-disable-next-line typescript/require-await -- an error must be a rejection
    async listOwners() {
      return database.owners().map(({ owner }) => owner);
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      await lock.idle();
      for (const upkeep of kept.values()) await upkeep.end();
      kept.clear();
    },
  };
}
