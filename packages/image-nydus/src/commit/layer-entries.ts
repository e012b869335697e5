import type { RootfsIdMappings } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
import { ownerShift, type OwnerShift } from "../mount/shift-owner.ts";
import type { TarEntry } from "../tar/tar-entry.ts";
import type { ByteString } from "../tree/inode.ts";
import type { ScannedFile } from "./scan-directory.ts";

export interface LayerEntriesOptions {
  /** Whether the directory is the upper one of an overlay, with marks for what is deleted */
  readonly isOverlay: boolean;
  /** Whom the files belong to is shifted so; the entries say what it is in the image */
  readonly idMappings?: RootfsIdMappings | undefined;
}

/** Who files belong to that belong to nobody in a namespace, see user_namespaces(7) */
const overflowId = 65_534;
const overlayPrefix = "trusted.overlay.";
const opaqueEntry = ".wh..wh..opq";
const whiteoutPrefix = ".wh.";
const noContent: TarEntry["content"] = (async function* none() {})();

/**
 * The files of a directory as entries of a layer, deletions of overlayfs as whiteouts. Sockets are left out: they mean
 * nothing without the process that made them.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for a name that stands for a deletion in layers; `RUNTIME_NOT_SUPPORTED` for
 *   marks of overlays with `redirect_dir` or `metacopy`; what the files throw
 */
export async function* layerEntries(
  files: AsyncIterable<ScannedFile>,
  { isOverlay, idMappings }: LayerEntriesOptions,
): AsyncGenerator<TarEntry, void, undefined> {
  const shift =
    idMappings && ownerShift(idMappings, { to: "container", unmapped: () => overflowId });
  const firstNames = new Map<string, ByteString>();
  for await (const file of files) {
    const { kind, path, nlink, inode } = file;
    if (kind === "socket") continue;
    if (isOverlay && isWhiteout(file)) {
      yield { ...entryOf(file, shift), kind: "file", path: whiteoutOf(path), xattrs: new Map() };
      continue;
    }
    if (nameOf(path).startsWith(whiteoutPrefix)) throw whiteoutName(path);
    if (isOverlay) refuseRedirects(file);
    const first = kind !== "directory" && nlink > 1 ? firstNames.get(inode) : undefined;
    if (first !== undefined) {
      const link = { kind: "hardlink", linkPath: first, size: 0, content: noContent } as const;
      yield { ...entryOf(file, shift), ...link };
      continue;
    }
    if (kind !== "directory" && nlink > 1) firstNames.set(inode, path);
    yield { ...entryOf(file, shift), kind };
    if (!isOverlay || !isOpaque(file)) continue;
    const opaque = { kind: "file", path: `${path}/${opaqueEntry}`, xattrs: new Map() } as const;
    yield { ...entryOf(file, shift), ...opaque };
  }
}

function entryOf(file: ScannedFile, shift: OwnerShift | undefined): Omit<TarEntry, "kind"> {
  const { path, mode, uid, gid, size, mtime, device, linkTarget, content } = file;
  const xattrs = new Map<ByteString, Buffer>();
  for (const [name, value] of file.xattrs) {
    // Also those of overlays within the overlay: what they mean ends with them.
    if (name.startsWith(overlayPrefix)) continue;
    xattrs.set(name, shift?.xattr(name, value) ?? value);
  }
  return {
    path,
    mode,
    uid: shift?.uid(uid) ?? uid,
    gid: shift?.gid(gid) ?? gid,
    size,
    mtime,
    linkPath: linkTarget,
    device,
    xattrs,
    content,
  };
}

/** See "whiteouts and opaque directories" in the kernel's documentation of overlayfs. */
function isWhiteout({ kind, device }: ScannedFile): boolean {
  return kind === "character-device" && device.major === 0 && device.minor === 0;
}

function isOpaque({ kind, xattrs }: ScannedFile): boolean {
  return kind === "directory" && xattrs.get(`${overlayPrefix}opaque`)?.toString() === "y";
}

/** What is elsewhere, or half elsewhere, cannot be seen in this directory. */
function refuseRedirects({ path, xattrs }: ScannedFile): void {
  const mark = ["redirect", "metacopy"].find((name) => xattrs.has(`${overlayPrefix}${name}`));
  if (mark === undefined) return;
  const option = mark === "redirect" ? "redirect_dir" : mark;
  throw new LongshoreError(
    "RUNTIME_NOT_SUPPORTED",
    `${JSON.stringify(path.slice(0, 256))} was written by an overlay with ${option}; mount it with ${option}=off.`,
    { details: { path: path.slice(0, 256), option } },
  );
}

function whiteoutOf(path: ByteString): ByteString {
  const slash = path.lastIndexOf("/") + 1;
  return `${path.slice(0, slash)}${whiteoutPrefix}${path.slice(slash)}`;
}

function nameOf(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf("/") + 1);
}

function whiteoutName(path: ByteString): LongshoreError {
  return new LongshoreError(
    "VALIDATION_ERROR",
    `The root filesystem has a file ${JSON.stringify(path.slice(0, 256))}, whose name stands for a deletion in a layer.`,
    { details: { field: "path", expected: "a name that does not begin with .wh." } },
  );
}
