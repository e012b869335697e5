import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { validateRafs } from "../../src/rafs/validate-rafs.ts";
import { differences } from "../tree/file-listing.ts";
import { listDirectory } from "../tree/list-directory.ts";
import { listTree } from "../tree/list-tree.ts";
import { directory, imageBuilder, type BuiltImage } from "./image-builder.ts";
import { canMount, imageFiles, mountErofs, run } from "./mount-erofs.ts";
import { oddTree } from "./odd-tree.ts";

async function oddImage(chunkSize = 1_048_576): Promise<BuiltImage> {
  const builder = imageBuilder({ blobs: 2, chunkSize });
  return await builder.finish(await oddTree(builder));
}

describe.skipIf(!canMount)("an image mounted by the kernel (needs root)", () => {
  it("shows every kind of file as it was written", async () => {
    const image = await oddImage();
    await using files = await imageFiles(image);
    await using mount = await mountErofs(files);

    const listing = await listDirectory(mount.path);

    expect(differences(listing, listTree(image.root, image.sha256Of))).toEqual([]);
    expect(listing.size).toBeGreaterThan(1550);
  });

  it.each([4096, 65_536, 16_777_216])("reads files in chunks of %i bytes", async (chunkSize) => {
    const image = await oddImage(chunkSize);
    await using files = await imageFiles(image);
    await using mount = await mountErofs(files);

    const listing = await listDirectory(mount.path);

    expect(differences(listing, listTree(image.root, image.sha256Of))).toEqual([]);
    validateRafs(image.bootstrap);
  });

  it("finds chunks whose number needs more than 16 bits", { timeout: 120_000 }, async () => {
    const builder = imageBuilder({ chunkSize: 4096 });
    const content = Buffer.alloc(70_000 * 4096);
    for (let chunk = 0; chunk < 70_000; chunk += 1) content.writeUInt32LE(chunk, chunk * 4096);
    const image = await builder.finish(directory({ big: await builder.file(content) }));
    await using files = await imageFiles(image);
    await using mount = await mountErofs(files);

    const listing = await listDirectory(mount.path);

    expect(differences(listing, listTree(image.root, image.sha256Of))).toEqual([]);
  });

  it("mounts an image without any blob", async () => {
    const builder = imageBuilder();
    const image = await builder.finish(directory({ empty: await builder.file(Buffer.alloc(0)) }));
    await using files = await imageFiles(image);
    await using mount = await mountErofs(files);

    const listing = await listDirectory(mount.path);

    expect(image.blobs).toEqual([]);
    expect(differences(listing, listTree(image.root, image.sha256Of))).toEqual([]);
    validateRafs(image.bootstrap);
  });
});

describe.skipIf(!canMount)("the EROFS tools (extracting devices needs root)", () => {
  it("find no fault in an image and extract what was written", async () => {
    const image = await oddImage();
    await using files = await imageFiles(image);
    const devices = files.blobs.map((blob) => `--device=${blob}`);
    const target = join(files.directory, "out");
    await mkdir(target);

    await run("fsck.erofs", [...devices, `--extract=${target}`, files.bootstrap]);
    const summary = await run("dump.erofs", [...devices, "-s", files.bootstrap]);

    const extracted = await listDirectory(target);
    // The tool makes one file of each name, sets no xattrs, and loses setuid because it sets the owner last.
    const ignore = (path: string, field: string): boolean =>
      field === "hardlink" ||
      field === "xattrs" ||
      (field === "mode" && extracted.get(path)?.mode === "0755" && path.endsWith("shared")) ||
      (field === "mode" && path === "third-name");
    expect(differences(extracted, listTree(image.root, image.sha256Of), { ignore })).toEqual([]);
    expect(summary).toMatch(/Filesystem root nid:\s+128/u);
    expect(summary).toMatch(/Filesystem inode count:/u);
  });
});
