import { join } from "node:path";
import type {
  Logger,
  PreparedRootfs,
  PrepareRootfsOptions,
  Rootfs,
  RootfsIdMappings,
  RootfsProvider,
} from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
import { checkIdMappings } from "../mount/id-mappings.ts";
import type { MountRecords } from "../mount/mount-records.ts";
import type { MountProbe } from "../mount/probe-mounts.ts";
import { parseImageConfigFile } from "../registry/image-config-file.ts";
import { requireImage, requireListedImage } from "../store/find-image.ts";
import { toImageConfig } from "../store/image-config.ts";
import type { ImageDatabase } from "../store/image-database.ts";
import type { ImageRecord, OwnerRecord } from "../store/image-records.ts";
import { openStoredBootstrap } from "../store/open-stored-bootstrap.ts";
import { recentlyUsed } from "../store/recently-used.ts";
import type { StoreLayout } from "../store/store-layout.ts";
import type { ImageMounts } from "./image-mounts.ts";
import type { MountableImage } from "./mountable-image.ts";
import { keepUpRootfs, type Upkeep } from "./keep-up-rootfs.ts";
import { keyedLock } from "./keyed-lock.ts";
import { rootAttributes } from "./make-like-root.ts";
import { ownerDirectory } from "./owner-directories.ts";
import {
  chooseForm,
  formatOwnerForm,
  isSameShift,
  parseOwnerForm,
  type RootfsForm,
} from "./rootfs-form.ts";

export interface RootfsProviderOptions {
  readonly database: ImageDatabase;
  readonly layout: StoreLayout;
  readonly mounts: ImageMounts;
  readonly records: MountRecords;
  readonly logger: Logger;
  /** @param triesShifts whether shifted owners are wanted: to try them takes as long as all else */
  probe(triesShifts: boolean): Promise<readonly MountProbe[]>;
  /** An image's files, by its metadata */
  findMountable(image: ImageRecord | OwnerRecord): Promise<MountableImage>;
  /** Takes down what processes left mounted that no longer run */
  recoverMounts(): Promise<void>;
}

const defaultAccept: readonly Rootfs["kind"][] = ["overlay", "directory"];

/** What an owner holds. */
export interface OwnedRootfs {
  /** With the metadata that the owner uses */
  readonly image: ImageRecord;
  readonly form: RootfsForm;
  readonly idMappings: RootfsIdMappings | undefined;
  /** What was changed, or all files of a copy; may not be there after a crash */
  readonly changesDirectory: string;
}

export interface OwnedRootfsProvider extends RootfsProvider, AsyncDisposable {
  /**
   * Does something with what an owner holds, which stays as it is meanwhile.
   *
   * @throws {LongshoreError} `NOT_FOUND` for an owner that holds nothing
   */
  useOwner<T>(owner: string, task: (owned: OwnedRootfs) => Promise<T>): Promise<T>;
}

/** Root filesystems out of a store, with {@link AsyncDisposable} to let go of mounts; owners stay as they are. */
export function rootfsProvider(options: RootfsProviderOptions): OwnedRootfsProvider {
  const { database, layout, mounts, records } = options;
  const root = join(layout.mountDirectory, "owners");
  const roots = recentlyUsed(async (bootstrapId) =>
    rootAttributes(await openStoredBootstrap(layout, bootstrapId)),
  );
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
    const { idMappings } = prepareOptions;
    if (idMappings !== undefined) checkIdMappings(idMappings);
    const known = database.owner(owner);
    const image = known === undefined ? requireListedImage(database, ref) : imageOf(known, ref);
    if (known !== undefined) assertSameShift(known, idMappings);
    const record = known ?? (await newOwner(image, owner, prepareOptions));
    let upkeep = kept.get(owner);
    if (upkeep === undefined) {
      if (known === undefined) add(record);
      else await options.recoverMounts();
      try {
        upkeep = await keepUpRootfs({ layout, mounts, records, roots, root }, record, {
          image: await options.findMountable(record),
          signal: prepareOptions.signal,
        });
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

  function assertSameShift(
    { owner, kind }: OwnerRecord,
    wanted: PrepareRootfsOptions["idMappings"],
  ): void {
    const { idMappings: held } = parseOwnerForm(kind);
    if (isSameShift(held, wanted)) return;
    throw new LongshoreError(
      "STATE_CONFLICT",
      `${owner} holds a root filesystem with other id mappings.`,
      { details: { owner, idMappings: held ?? "none" } },
    );
  }

  async function newOwner(
    image: ImageRecord,
    owner: string,
    { accept = defaultAccept, readonly = false, idMappings }: PrepareRootfsOptions,
  ): Promise<OwnerRecord> {
    const mountable = await options.findMountable(image);
    const probes = await options.probe(idMappings !== undefined);
    const form = await chooseForm(mountable, { accept, idMappings, mounts, probes });
    const { imageId, bootstrapId } = image;
    const kind = formatOwnerForm({ form, idMappings });
    return { owner, imageId, bootstrapId, kind, readonly };
  }

  function ownedBy(owner: string): OwnedRootfs {
    const record = database.owner(owner);
    const image = record && database.imageById(record.imageId);
    if (record === undefined || image === undefined) {
      throw new LongshoreError("NOT_FOUND", `${owner} holds no root filesystem.`, {
        details: { owner },
      });
    }
    const { form, idMappings } = parseOwnerForm(record.kind);
    const { upper, copy } = ownerDirectory(root, owner);
    return {
      image: { ...image, bootstrapId: record.bootstrapId },
      form,
      idMappings,
      changesDirectory: form === "copy" ? copy : upper,
    };
  }

  async function release(owner: string): Promise<void> {
    await lock.run(owner, async () => {
      assertOpen();
      const upkeep = kept.get(owner);
      if (upkeep !== undefined) await upkeep.end();
      // Another process kept it up. When that crashed after this store was opened, its mounts are still there.
      else await options.recoverMounts();
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
    useOwner: (owner, task) =>
      lock.run(owner, () => {
        assertOpen();
        return task(ownedBy(owner));
      }),
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
