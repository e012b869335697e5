import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { eventTopic, nanosecondsFromMs, silentLogger, type AuthConfig } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
import { assertHasOrigin } from "./commit/commit-origin.ts";
import { rootfsCommitter } from "./commit/rootfs-committer.ts";
import { mountRecords } from "./mount/mount-records.ts";
import { recoverNydusd } from "./mount/nydusd-records.ts";
import { probeMounts, type MountProbe } from "./mount/probe-mounts.ts";
import { imagePushes } from "./publish/image-pushes.ts";
import { createRegistryClient, type RegistryClient } from "./registry/client/registry-client.ts";
import { configPlatform, parseImageConfigFile } from "./registry/image-config-file.ts";
import { parseImageSource } from "./registry/image-location.ts";
import type { ImageSource } from "./registry/image-source.ts";
import { openImageSource } from "./registry/open-image-source.ts";
import { hostPlatform } from "./registry/platform.ts";
import { nydusdDirectory } from "./rootfs/image-mounter.ts";
import { imageMounts, removeOldMountPoints } from "./rootfs/image-mounts.ts";
import { imageMountMethods, type MountableImage } from "./rootfs/mountable-image.ts";
import { rootfsProvider } from "./rootfs/rootfs-provider.ts";
import { collectGarbage, type CollectedGarbage } from "./store/collect-garbage.ts";
import { toCriImage } from "./store/cri-image.ts";
import { measureDiskUsage } from "./store/disk-usage.ts";
import { recentlyUsed } from "./store/recently-used.ts";
import { fetchDeviceIds } from "./store/fetch-device-ids.ts";
import { findImage, findListedImage, isListed, requireImage } from "./store/find-image.ts";
import { openImageDatabase } from "./store/image-database.ts";
import { diffImages } from "./store/image-diff.ts";
import { imageMetrics } from "./store/image-metrics.ts";
import { isNamed, namesThatGoWith, taggedName } from "./store/image-names.ts";
import { imagePulls } from "./store/image-pulls.ts";
import type { LazyEvent } from "./lazy/lazy-event.ts";
import type { ImageRecord, OwnerRecord } from "./store/image-records.ts";
import { lazyImages } from "./store/lazy-images.ts";
import { openStoredBootstrap } from "./store/open-stored-bootstrap.ts";
import { repairStore } from "./store/repair-store.ts";
import { openStoreLayout } from "./store/store-layout.ts";
import { verifyStore } from "./store/verify-store.ts";

import type { NydusImageStoreOptions, NydusImageStore } from "./nydus-image-store.ts";

type ImageEvent = "pulling" | "pulled" | "committed" | "removed" | "read-failed";

/**
 * Opens the image store in a directory. Several processes may have it open. What crashed ones left is cleaned up.
 *
 * @throws {LongshoreError} `IO_ERROR`; `CONFIG_ERROR` when a newer release wrote it
 */
export async function openNydusImageStore(
  options: NydusImageStoreOptions,
): Promise<NydusImageStore> {
  const { platform = hostPlatform(), logger = silentLogger, events, now = Date.now } = options;
  const directory = resolve(options.directory);
  const layout = await openStoreLayout(directory);
  const database = openImageDatabase(layout.databasePath);
  const client = createRegistryClient({ logger, ...options.registry });
  // Whoever reads a file waits: the loader tries again by itself, and then the reader is told.
  const readingClient = createRegistryClient({ logger, ...options.registry, retries: 0 });
  const metrics = imageMetrics(options.meterProvider);
  const records = mountRecords(layout.mountDirectory);
  /** Credentials that pulls of images brought along that are loaded on demand; never written down */
  const auths = new Map<string, AuthConfig>();
  const probes = recentlyUsed((owners) =>
    probeMounts({ directory: layout.mountDirectory, triesShifts: owners === "shifted" }),
  );
  const probe = (triesShifts: boolean): Promise<readonly MountProbe[]> =>
    probes.get(triesShifts ? "shifted" : "as they are");
  const mounts = imageMounts({
    layout,
    records,
    logger,
    methods: options.mountMethods ?? imageMountMethods,
    idleMs: options.idleMountMs,
    probe,
  });
  const lazy = lazyImages({
    database,
    layout,
    now,
    meterProvider: options.meterProvider,
    openOrigin: (record) => openOrigin(record, readingClient),
    onEvent: onLazyEvent,
  });
  const pulls = imagePulls({
    database,
    layout,
    lazy: options.onDemand === false ? undefined : lazy,
    client,
    limits: options.limits,
    parallelLayers: options.parallelLayers,
    now,
    logger,
    metrics,
    assertOpen,
    onPulling: (imageId) => {
      publish(imageId, "pulling");
    },
    onPulled: (imageId, auth) => {
      if (auth !== undefined) auths.set(imageId, auth);
      publish(imageId, "pulled");
    },
    onFailed: () => {
      // It may have stored files, and then not listed their image.
      isCollectionDue = true;
    },
    onEnded: collectWhatIsDue,
  });
  const pushing = { database, layout, lazy, client, platform, logger };
  const pushes = imagePushes({
    ...pushing,
    openOrigin: (record) => openOrigin(record, client),
    assertOpen,
  });
  const rootfs = rootfsProvider({
    database,
    layout,
    mounts,
    records,
    logger,
    probe,
    findMountable: mountable,
    recoverMounts,
  });
  const committer = rootfsCommitter({
    database,
    layout,
    lazy,
    limits: options.limits,
    now,
    logger,
    useOwner: rootfs.useOwner,
    onCommitted: (imageId) => {
      publish(imageId, "committed");
    },
  });
  const deviceIds = recentlyUsed((bootstrapId) => fetchDeviceIds(layout.blobPath(bootstrapId)));
  let closing: Promise<void> | undefined;
  let isCollectionDue = false;

  try {
    await recoverMounts();
  } catch (error) {
    await close();
    throw error;
  }

  /** Takes down what processes left mounted that no longer run. */
  async function recoverMounts(): Promise<void> {
    if (process.getuid?.() !== 0) return;
    const served = await recoverNydusd(nydusdDirectory(layout));
    const left = [...served, ...(await records.recover())];
    if (left.length > 0) logger.info({ mounts: left }, "mounts of a crashed process removed");
    await removeOldMountPoints(layout);
  }

  function publish(imageId: string, event: ImageEvent): void {
    const data = { imageId, names: database.names(imageId) };
    void events?.publish(eventTopic("image", imageId, event), data, { entityType: "image" });
  }

  function onLazyEvent(event: LazyEvent): void {
    const { type, blobId } = event;
    const fields = { blobId, ...("error" in event && { err: event.error }) };
    if (type === "read-failed") {
      logger.error(fields, "bytes of an image could not be read");
      for (const { imageId, bootstrapId } of database.images()) {
        const needsIt = database.blobsOf(bootstrapId).some((blob) => blob.blobId === blobId);
        if (needsIt) publish(imageId, "read-failed");
      }
    } else if (type === "blob-completed") logger.info(fields, "blob complete");
    else logger.warn(fields, `image ${type}`);
  }

  async function openOrigin(record: ImageRecord, through: RegistryClient): Promise<ImageSource> {
    const { origin, imageId } = record;
    assertHasOrigin(record);
    const auth = auths.get(imageId);
    return openImageSource(parseImageSource(origin), { client: through, auth });
  }

  function assertOpen(): void {
    if (closing !== undefined) throw new LongshoreError("IO_ERROR", "The image store is closed.");
  }

  async function readBootstrap({ bootstrapId }: ImageRecord): Promise<Buffer> {
    return readFile(layout.blobPath(bootstrapId));
  }

  async function collect(): Promise<CollectedGarbage> {
    // What a mount shows takes room until it ends, also when it is deleted.
    await mounts.endIdle();
    const collected = await collectGarbage(database, layout, lazy);
    isCollectionDue = collected.isDeferred;
    for (const imageId of collected.images) publish(imageId, "removed");
    if (collected.blobs > 0) logger.info({ ...collected }, "images cleaned up");
    return collected;
  }

  /** What a pull has put off. */
  async function collectWhatIsDue(): Promise<void> {
    if (!isCollectionDue) return;
    await collect().catch((error: unknown) => {
      logger.warn({ err: error }, "images could not be cleaned up");
    });
  }

  async function unlinkNames(names: readonly string[]): Promise<void> {
    for (const name of names) {
      const tagged = taggedName(name);
      if (tagged !== undefined) await layout.links.unlink(tagged);
    }
  }

  /** The files of an image, or of the metadata that an owner uses. */
  async function mountable(image: ImageRecord | OwnerRecord): Promise<MountableImage> {
    const { bootstrapId, imageId } = image;
    if (lazy.isLazy(bootstrapId)) {
      const record = database.imageById(imageId);
      if (record === undefined) throw new LongshoreError("IMAGE_NOT_FOUND", `No image ${imageId}.`);
      const complete = await lazy.completeDevices(record);
      return complete === undefined
        ? { bootstrapId, devices: [], openReader: () => lazy.openReader(record) }
        : { bootstrapId, devices: complete };
    }
    const ids = await deviceIds.get(bootstrapId);
    return { bootstrapId, devices: ids.map((id) => layout.blobPath(id)) };
  }

  return {
    directory,
    prepareRootfs: rootfs.prepareRootfs,
    listOwners: rootfs.listOwners,
    commitRootfs: committer.commitRootfs,
    async releaseRootfs(owner, releaseOptions) {
      const held = database.owner(owner);
      await rootfs.releaseRootfs(owner, releaseOptions);
      // Looking at all files takes the longer the more images there are, and most releases leave nothing to delete.
      if (isCollectionDue || (held !== undefined && database.isUnused(held))) await collect();
    },
    listImages: ({ image } = {}, { signal } = {}) =>
      run(signal, () => {
        const found =
          image === undefined || image.image === ""
            ? database.images().filter((record) => isListed(database, record))
            : [findListedImage(database, image.image)].filter((record) => record !== undefined);
        return found.map((record) => toCriImage(database, record));
      }),
    imageStatus: ({ image, verbose = false }, { signal } = {}) =>
      run(signal, () => {
        const record = findListedImage(database, image.image);
        if (record === undefined) return {};
        const info = verbose
          ? {
              config: record.config,
              manifest: record.manifest,
              origin: JSON.stringify(record.origin),
            }
          : undefined;
        return { image: toCriImage(database, record), ...(info !== undefined && { info }) };
      }),
    pullImage: ({ image: { image: text }, auth }, pullOptions) =>
      pulls.pull({ text, auth, platform }, pullOptions),
    removeImage: async ({ image }, { signal } = {}) => {
      signal?.throwIfAborted();
      assertOpen();
      const record = findImage(database, image);
      if (record === undefined) return;
      const names = database.names(record.imageId);
      database.removeNames(record.imageId);
      await unlinkNames(names);
      await collect();
    },
    imageFsInfo: async ({ signal } = {}) => {
      signal?.throwIfAborted();
      const { storedBytes, files } = await measureDiskUsage(database, layout);
      return {
        imageFilesystems: [
          {
            timestamp: nanosecondsFromMs(now()),
            fsId: { mountpoint: directory },
            usedBytes: storedBytes,
            inodesUsed: files,
          },
        ],
        containerFilesystems: [],
      };
    },
    collectGarbage: collect,
    verify: (verifyOptions) => verifyStore(database, layout, verifyOptions),
    repair: (verifyOptions) =>
      repairStore(
        {
          database,
          layout,
          async pull(image, text, signal) {
            const { origin, config } = image;
            if (text === origin) assertHasOrigin(image);
            const itsOwn = configPlatform(parseImageConfigFile(Buffer.from(config)));
            return pulls.pull({ text, origin, platform: itsOwn ?? platform }, { signal });
          },
        },
        verifyOptions,
      ),
    diskUsage: () => measureDiskUsage(database, layout),
    async diff(first, second) {
      const [a, b] = [requireImage(database, first), requireImage(database, second)];
      return diffImages(await readBootstrap(a), await readBootstrap(b));
    },
    async inspect(ref) {
      const record = requireImage(database, ref);
      const filesystem = await openStoredBootstrap(layout, record.bootstrapId);
      const isOnDemand = lazy.isLazy(record.bootstrapId);
      return { record, names: database.names(record.imageId), filesystem, isOnDemand };
    },
    pin: (ref, isPinned) =>
      run(undefined, () => {
        database.setPinned(requireImage(database, ref).imageId, isPinned);
      }),
    async untag(name) {
      const record = findImage(database, name);
      if (record === undefined) return false;
      const all = database.names(record.imageId);
      const stored = all.find((known) => isNamed(known, name));
      if (stored === undefined) return false;
      const names = namesThatGoWith(stored, all);
      for (const gone of names) database.removeName(gone);
      await unlinkNames(names);
      await collect();
      return true;
    },
    async mount(ref, target, { signal } = {}) {
      const record = requireImage(database, ref);
      const image = await mountable(record);
      const method = await mounts.methodFor(image);
      const mounted = await mounts.mountAt(image, target, { signal });
      return {
        imageId: record.imageId,
        target: resolve(target),
        method: method ?? "fuse",
        ended: mounted.ended,
        [Symbol.asyncDispose]: () => mounted[Symbol.asyncDispose](),
      };
    },
    async complete(ref, completeOptions) {
      const record = requireImage(database, ref);
      if (lazy.isLazy(record.bootstrapId)) await lazy.complete(record, completeOptions);
    },
    push: pushes.push,
    convert: pushes.convert,
    probeMounts: () => probe(true),
    [Symbol.asyncDispose]: close,
  };

  function close(): Promise<void> {
    closing ??= (async () => {
      const reason = new LongshoreError("SHUTDOWN", "The image store is being closed.");
      await Promise.all([pulls.end(reason), pushes.end(reason)]);
      committer.end(reason);
      await rootfs[Symbol.asyncDispose]();
      await mounts[Symbol.asyncDispose]();
      await client[Symbol.asyncDispose]();
      await readingClient[Symbol.asyncDispose]();
      database[Symbol.dispose]();
    })();
    return closing;
  }

  function run<T>(signal: AbortSignal | undefined, task: () => T): Promise<T> {
    return new Promise((done) => {
      signal?.throwIfAborted();
      assertOpen();
      done(task());
    });
  }
}
