import { mkdtemp, open, readdir, readFile, stat, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { mountFuse, type FuseReadError } from "../../src/fuse/mount-fuse.ts";
import type { BlobReader } from "../../src/mount/blob-reader.ts";
import { localBlobReader } from "../../src/mount/local-blob-reader.ts";
import { isMounted } from "../../src/mount/mounted-at.ts";
import { unmount } from "../../src/mount/unmount.ts";
import { differences } from "../tree/file-listing.ts";
import { listDirectory } from "../tree/list-directory.ts";
import { memorySource } from "./memory-filesystem.ts";
import { canMount, mountPlace, type MountPlace } from "./mount-place.ts";
import { attributes, blobMaker, directory, listTree, noise, sampleImage } from "./sample-image.ts";

let place: MountPlace;
let blobs: string;
let target: string;
beforeEach(async () => {
  place = await mountPlace();
  [blobs, target] = [await place.directory("blobs"), await place.directory("mnt")];
});
afterEach(() => place[Symbol.asyncDispose]());

describe.skipIf(!canMount)("an image mounted through FUSE (needs root and /dev/fuse)", () => {
  it("shows every file as it is", async () => {
    const { image, blob } = sampleImage();
    await blob.finish(blobs);
    await using mount = await mountFuse({ filesystem: memorySource(image), blobs, target });
    const listing = await listDirectory(mount.target);
    expect(differences(listing, listTree(image.root, blob))).toEqual([]);
    expect(listing.size).toBe(5_022);
  });
});
