import type { Abortable, Rootfs, RootfsIdMappings } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
import { extractTree } from "../mount/extract-tree.ts";
import { holdBlobs, localBlobReader } from "../mount/local-blob-reader.ts";
import { mountOverlay } from "../mount/mount-overlay.ts";
import type { MountRecords } from "../mount/mount-records.ts";
import type { OwnerRecord } from "../store/image-records.ts";
import { openStoredBootstrap } from "../store/open-stored-bootstrap.ts";
import type { RecentlyUsed } from "../store/recently-used.ts";
import type { StoreLayout } from "../store/store-layout.ts";
import { blobFiles } from "./image-mounter.ts";
import type { ImageMounts } from "./image-mounts.ts";
import type { MountableImage } from "./mountable-image.ts";
import { makeLikeRoot, type RootAttributes } from "./make-like-root.ts";
import { ownerDirectory, type OwnerDirectory } from "./owner-directories.ts";
import { parseOwnerForm } from "./rootfs-form.ts";

/** What a process keeps up for an owner. */
export interface Upkeep {
  readonly rootfs: Rootfs;
  end(): Promise<void>;
}

export interface UpkeepPlace {
  readonly layout: StoreLayout;
  readonly mounts: ImageMounts;
  readonly records: MountRecords;
  /** By bootstrap id */
  readonly roots: RecentlyUsed<RootAttributes>;
  /** Directory of all owners' directories */
  readonly root: string;
}

interface OwnedImage extends Abortable {
  readonly image: MountableImage;
  readonly directory: OwnerDirectory;
  readonly readonly: boolean;
  readonly idMappings: RootfsIdMappings | undefined;
}

/** Makes what an owner's root filesystem needs, or finds it again; when it rejects, nothing is mounted. */
export async function keepUpRootfs(
  place: UpkeepPlace,
  record: OwnerRecord,
  { image, signal }: Pick<OwnedImage, "image" | "signal">,
): Promise<Upkeep> {
  const { form, idMappings } = parseOwnerForm(record.kind);
  const directory = ownerDirectory(place.root, record.owner);
  const { readonly } = record;
  const owned: OwnedImage = { image, directory, readonly, idMappings, signal };
  switch (form) {
    case "block":
      return { rootfs: blockRootfs(place, image), end: () => Promise.resolve() };
    case "copy": {
      const path = await directory.fill("copy", (partial) => copyImage(place, owned, partial));
      return { rootfs: { kind: "directory", path, readonly }, end: () => Promise.resolve() };
    }
    case "overlay": {
      const { lower, upperDir, workDir, release } = await layers(place, owned);
      const upper = readonly ? {} : { upper: { upperDir, workDir } };
      return { rootfs: { kind: "overlay", lower: [lower], ...upper }, end: release };
    }
    case "overlay-directory":
      return mergedRootfs(place, owned);
    default:
      return form satisfies never;
  }
}

interface Layers {
  readonly lower: string;
  readonly upperDir: string;
  readonly workDir: string;
  readonly merged: string;
  release(): Promise<void>;
}

async function layers(
  { roots, mounts }: UpkeepPlace,
  { image, directory, idMappings, signal }: OwnedImage,
): Promise<Layers> {
  const upperDir = await directory.fill("upper", async (partial) => {
    await makeLikeRoot(partial, await roots.get(image.bootstrapId), idMappings);
  });
  const { work: workDir, merged } = await directory.makeMountPoints();
  const { path: lower, release } = await mounts.hold(image, { signal, idMappings });
  return { lower, upperDir, workDir, merged, release };
}

async function mergedRootfs(place: UpkeepPlace, owned: OwnedImage): Promise<Upkeep> {
  const { readonly, signal } = owned;
  const { lower, upperDir, workDir, merged: target, release } = await layers(place, owned);
  try {
    const merged = await place.records.mount(target, async () => {
      await mountOverlay({
        // An overlay that takes no changes needs two directories.
        lower: readonly ? [lower, upperDir] : [lower],
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
        await release();
      },
    };
  } catch (error) {
    await release();
    throw error;
  }
}

function blockRootfs(
  { layout }: UpkeepPlace,
  { bootstrapId, devices, openReader }: MountableImage,
): Rootfs {
  if (openReader !== undefined) {
    throw new LongshoreError(
      "RUNTIME_NOT_SUPPORTED",
      "An image that is not all here cannot be block devices.",
      { details: { bootstrapId } },
    );
  }
  const path = layout.blobPath(bootstrapId);
  return { kind: "block", devices: [{ path, filesystem: "erofs", dataDevices: devices }] };
}

async function copyImage(
  { layout }: UpkeepPlace,
  { image, idMappings, signal }: OwnedImage,
  directory: string,
): Promise<void> {
  const filesystem = await openStoredBootstrap(layout, image.bootstrapId);
  using held = holdBlobs(blobFiles(image.devices));
  using local = localBlobReader(layout.blobDirectory, held.files);
  await using lazy = await image.openReader?.();
  await extractTree(filesystem, lazy ?? local, { directory, idMappings, signal });
}
