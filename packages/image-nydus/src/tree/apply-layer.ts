import type { Abortable } from "@longshore/core";
import type { TarContent, TarEntry } from "../tar/tar-entry.ts";
import {
  defaultTreeLimits,
  implicitDirectory,
  noXattrs,
  type FileTree,
  type TreeLimits,
} from "./file-tree.ts";
import {
  fromByteString,
  toByteString,
  type ByteString,
  type ChunkRef,
  type DirectoryInode,
  type FileAttributes,
  type Inode,
} from "./inode.ts";
import { layerError } from "./layer-error.ts";
import { layerMarks, type LayerMarks } from "./layer-marks.ts";
import { parseLayerPath, splitPath } from "./layer-path.ts";
import { packedFiles, type PackedFiles } from "./packed-files.ts";
import { sharedTimes, type SharedTimes } from "./shared-times.ts";
import { resolveFolders, type FolderStep } from "./resolve-folders.ts";

export interface ApplyLayerOptions extends Abortable {
  /**
   * Keeps the bytes of a file and tells where they lie. It has to read all of the content. Called for one file at a time, and
   * not for empty ones.
   */
  readonly storeFile: (
    content: AsyncIterable<TarContent>,
    size: number,
  ) => Promise<readonly ChunkRef[]>;
  /** What all layers together may put in. @default see {@link TreeLimits} */
  readonly limits?: Partial<TreeLimits> | undefined;
}

/**
 * Applies a layer to the tree that the layers below it have made, in one pass, as the OCI image specification says:
 *
 * - Whiteouts hide names of the layers below only, wherever they stand in the layer; they never appear in the tree.
 * - A directory over a directory changes its attributes and keeps its children; anything else replaces what is there. Of two
 *   entries for a path, the later one counts.
 * - Parents that no layer has an entry for are made with mode 0755, of root, from 1970. They change nothing that is there.
 * - Symlinks on the way to a file are followed, and never lead out of the tree.
 * - Hard links, also to files of layers below, are further names of one inode.
 *
 * When it rejects, the tree holds a part of the layer and is of no use.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` with `{ entry, problem, limit }` as details: paths with `..`, files that lie in
 *   files, links to nothing, what is beyond the limits; whatever reading the entries or `storeFile` throws
 */
export async function applyLayer(
  tree: FileTree,
  entries: AsyncIterable<TarEntry>,
  options: ApplyLayerOptions,
): Promise<void> {
  const { signal, storeFile } = options;
  const limits: TreeLimits = { ...defaultTreeLimits, ...options.limits };
  const layer: Layer = {
    tree,
    limits,
    marks: layerMarks(),
    times: sharedTimes(),
    files: packedFiles(),
  };
  signal?.throwIfAborted();
  for await (const entry of entries) {
    signal?.throwIfAborted();
    const path = parseLayerPath(entry.path);
    if (typeof path === "string") throw layerError(entry.path, path);
    charge(layer, entry);
    switch (path.kind) {
      case "reserved":
        break;
      case "root":
        describeRoot(layer, entry);
        break;
      case "whiteout":
      case "opaque": {
        const folder = findFolder(layer, path.folders, entry.path);
        if (folder === undefined) break;
        if (path.kind === "opaque") layer.marks.hideLower(folder);
        else layer.marks.hideLowerName(folder, path.name);
        break;
      }
      case "place": {
        const folder = openFolder(layer, path.folders, entry.path);
        const name = ownCopy(path.name);
        const inode = await makeInode(layer, entry, { folder, name, storeFile });
        folder.children.set(name, inode);
        layer.marks.touch(folder, name);
        break;
      }
      default:
        path satisfies never;
    }
  }
}

/** The same text by itself: a part of a longer text keeps all of that in memory. */
function ownCopy(name: ByteString): ByteString {
  return toByteString(fromByteString(name));
}

interface Layer {
  readonly tree: FileTree;
  readonly limits: TreeLimits;
  readonly marks: LayerMarks;
  readonly times: SharedTimes;
  readonly files: PackedFiles;
}

interface Place {
  readonly folder: DirectoryInode;
  readonly name: ByteString;
  readonly storeFile: ApplyLayerOptions["storeFile"];
}

/** Makes what an entry asks for. Hard links are made of what is there when the place itself is empty. */
async function makeInode(layer: Layer, entry: TarEntry, place: Place): Promise<Inode> {
  const { folder, name } = place;
  const attributes = attributesOf(layer, entry);
  switch (entry.kind) {
    case "directory": {
      const before = folder.children.get(name);
      const isThere = before?.kind === "directory";
      const children: DirectoryInode["children"] = isThere ? before.children : new Map();
      const directory: DirectoryInode = { ...attributes, kind: "directory", children };
      if (!isThere) layer.marks.addFresh(directory);
      layer.marks.addDescribed(directory);
      return directory;
    }
    case "hardlink":
      folder.children.delete(name);
      return findLinkTarget(layer, entry);
    case "file": {
      const chunks = entry.size === 0 ? [] : await place.storeFile(entry.content, entry.size);
      return layer.files.add({ ...attributes, size: entry.size, chunks });
    }
    case "symlink":
      checkSymlink(entry);
      // Linux has no modes of symlinks, whatever an archive says.
      return { ...attributes, mode: 0o777, kind: "symlink", target: entry.linkPath };
    case "character-device":
    case "block-device":
      return { ...attributes, kind: entry.kind, device: entry.device };
    case "fifo":
      return { ...attributes, kind: "fifo" };
    default:
      return entry.kind satisfies never;
  }
}

function attributesOf({ times }: Layer, entry: TarEntry): Omit<FileAttributes, "kind"> {
  const { mode, uid, gid } = entry;
  const xattrs = entry.xattrs.size === 0 ? noXattrs : entry.xattrs;
  return { mode, uid, gid, mtime: times.share(entry.mtime), xattrs };
}

function checkSymlink({ path, linkPath }: TarEntry): void {
  if (linkPath === "") throw layerError(path, "it is a symlink to nothing");
  if (linkPath.includes("\0")) throw layerError(path, "the target of the symlink holds a NUL");
  if (linkPath.length > 4_095) {
    throw layerError(path, "the target of the symlink is longer than 4,095 bytes");
  }
}

function findLinkTarget({ tree }: Layer, { path, linkPath }: TarEntry): Inode {
  const target = JSON.stringify(linkPath.slice(0, 256));
  const names = splitPath(linkPath);
  if (typeof names === "string") {
    throw layerError(path, `the hard link to ${target} cannot be followed: ${names}`);
  }
  const steps = resolveFolders(tree.root, names.slice(0, -1));
  if (typeof steps === "string") {
    throw layerError(path, `the hard link to ${target} cannot be followed: ${steps}`);
  }
  const folder = steps.length === 0 ? tree.root : steps.at(-1)?.inode;
  const name = names.at(-1);
  const inode =
    name === undefined
      ? tree.root
      : folder?.kind === "directory"
        ? folder.children.get(name)
        : undefined;
  if (inode === undefined)
    throw layerError(path, `the hard link is to ${target}, which is missing`);
  if (inode.kind === "directory") {
    throw layerError(path, `the hard link is to ${target}, which is a directory`);
  }
  return inode;
}

function describeRoot(layer: Layer, entry: TarEntry): void {
  const { tree, marks } = layer;
  if (entry.kind !== "directory") throw layerError(entry.path, "the root has to be a directory");
  tree.root = { ...attributesOf(layer, entry), kind: "directory", children: tree.root.children };
  marks.addDescribed(tree.root);
}

/** The folder of that path, if there is one. */
function findFolder(
  { tree }: Layer,
  folders: readonly ByteString[],
  path: ByteString,
): DirectoryInode | undefined {
  const steps = followFolders(tree, folders, path);
  const folder = steps.length === 0 ? tree.root : steps.at(-1)?.inode;
  return folder?.kind === "directory" ? folder : undefined;
}

/** The folder of that path, made with all its parents where missing. */
function openFolder(
  layer: Layer,
  folders: readonly ByteString[],
  path: ByteString,
): DirectoryInode {
  const { tree, marks, limits } = layer;
  const steps = followFolders(tree, folders, path);
  if (steps.length > limits.maxDepth) {
    throw layerError(path, `it lies deeper than ${limits.maxDepth} directories`, "maxDepth");
  }
  let folder = tree.root;
  for (const { name, inode } of steps) {
    let next = inode;
    if (next === undefined) {
      next = implicitDirectory(new Map());
      chargeEntry(layer, { path, metadataBytes: name.length });
      marks.addFresh(next);
      folder.children.set(name, next);
    }
    if (next.kind !== "directory") {
      throw layerError(path, `it lies in ${JSON.stringify(name)}, which is no directory`);
    }
    marks.touch(folder, name);
    folder = next;
  }
  return folder;
}

function followFolders(
  { root }: FileTree,
  folders: readonly ByteString[],
  path: ByteString,
): readonly FolderStep[] {
  const steps = resolveFolders(root, folders);
  if (typeof steps === "string") throw layerError(path, steps);
  return steps;
}

/** Counts an entry against the limits before anything is made of it. */
function charge(layer: Layer, { path, linkPath, xattrs, size }: TarEntry): void {
  let metadataBytes = path.length - path.lastIndexOf("/", path.length - 2) + linkPath.length;
  for (const [name, value] of xattrs) metadataBytes += name.length + value.length;
  chargeEntry(layer, { path, metadataBytes });
  const { tree, limits } = layer;
  tree.usage.fileBytes += size;
  if (tree.usage.fileBytes > limits.maxFileBytes) {
    const problem = `the files have more than ${limits.maxFileBytes} bytes in all`;
    throw layerError(path, problem, "maxFileBytes");
  }
}

function chargeEntry(
  { tree, limits }: Layer,
  { path, metadataBytes }: { readonly path: ByteString; readonly metadataBytes: number },
): void {
  tree.usage.entries += 1;
  tree.usage.metadataBytes += metadataBytes;
  if (tree.usage.entries > limits.maxEntries) {
    throw layerError(path, `the layers have more than ${limits.maxEntries} entries`, "maxEntries");
  }
  if (tree.usage.metadataBytes > limits.maxMetadataBytes) {
    const problem = `names, links and attributes have more than ${limits.maxMetadataBytes} bytes`;
    throw layerError(path, problem, "maxMetadataBytes");
  }
}
