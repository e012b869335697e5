import { mkdir } from "node:fs/promises";
import { attributeWriter } from "../mount/attribute-writer.ts";
import type { RafsFilesystem } from "../rafs/open-bootstrap.ts";

/**
 * Makes a directory with the attributes that the root of an image has: the root of an overlay has those of its topmost
 * directory.
 *
 * @throws {LongshoreError} `IO_ERROR`
 */
export async function makeLikeRoot(directory: string, image: RafsFilesystem): Promise<void> {
  const { mode, uid, gid, mtime } = image.stat(image.rootNid);
  const xattrs = [...image.xattrs(image.rootNid)].filter(
    // They steer the overlay itself.
    ([name]) => !name.startsWith("trusted.overlay."),
  );
  await mkdir(directory, { mode: 0o700 });
  const owner = process.getuid?.() === 0 ? { uid, gid } : undefined;
  const writer = await attributeWriter();
  try {
    const attributes = { isSymlink: false, owner, mode, mtime, xattrs };
    await writer.attributes(Buffer.from(directory), attributes);
    await writer.finish();
  } finally {
    await writer.kill();
  }
}
