import { chmodSync, chownSync, mkdirSync, utimesSync } from "node:fs";
import type { RootfsIdMappings } from "@longshore/core";
import { attributeWriter } from "../mount/attribute-writer.ts";
import { refuseUnmapped } from "../mount/refuse-unmapped.ts";
import { ownerShift } from "../mount/shift-owner.ts";
import type { RafsFilesystem } from "../rafs/open-bootstrap.ts";
import type { FileStat } from "../rafs/readable-filesystem.ts";

/** Attributes of an image's root. */
export type RootAttributes = Pick<FileStat, "mode" | "uid" | "gid" | "mtime"> & {
  readonly xattrs: readonly (readonly [name: string, value: Buffer])[];
};

export function rootAttributes(image: RafsFilesystem): RootAttributes {
  const { mode, uid, gid, mtime } = image.stat(image.rootNid);
  // Copies: the whole of the image's metadata need not stay with them.
  const xattrs = [...image.xattrs(image.rootNid)].map(
    ([name, value]) => [name, Buffer.from(value)] as const,
  );
  return { mode, uid, gid, mtime, xattrs };
}

/**
 * Makes a directory with the attributes that the root of an image has: the root of an overlay has those of its topmost
 * directory.
 *
 * @param idMappings shift whom it belongs to
 * @throws {LongshoreError} `IO_ERROR`; `VALIDATION_ERROR` when they do not map whom it belongs to
 */
export async function makeLikeRoot(
  directory: string,
  root: RootAttributes,
  idMappings?: RootfsIdMappings,
): Promise<void> {
  const { mode, uid, gid, mtime } = root;
  const shift = idMappings && ownerShift(idMappings, { to: "host", unmapped: refuseUnmapped("/") });
  const xattrs = root.xattrs
    // They steer the overlay itself.
    .filter(([name]) => !name.startsWith("trusted.overlay."))
    .map(([name, value]) => [name, shift?.xattr(name, value) ?? value] as const);
  const shifted = { uid: shift?.uid(uid) ?? uid, gid: shift?.gid(gid) ?? gid };
  mkdirSync(directory, { mode: 0o700 });
  const owner = process.getuid?.() === 0 ? shifted : undefined;
  // What Node can do itself costs a tenth of another program's start; its times are no finer than microseconds.
  if (xattrs.length === 0 && mtime.nanoseconds === 0) {
    if (owner !== undefined) chownSync(directory, owner.uid, owner.gid);
    chmodSync(directory, mode & 0o7777);
    utimesSync(directory, mtime.seconds, mtime.seconds);
    return;
  }
  const writer = await attributeWriter();
  try {
    const attributes = { isSymlink: false, owner, mode, mtime, xattrs };
    await writer.attributes(Buffer.from(directory), attributes);
    await writer.finish();
  } finally {
    await writer.kill();
  }
}
