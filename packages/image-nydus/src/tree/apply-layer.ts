import type { Abortable } from "@longshore/core";
import type { TarContent, TarEntry } from "../tar/tar-entry.ts";
import {
  defaultTreeLimits,
  implicitDirectory,
  rootInode,
  type FileTree,
  type TreeLimits,
} from "./file-tree.ts";
import type { ByteString, FileAttributes } from "./inode.ts";
import { layerError } from "./layer-error.ts";
import { layerMarks, type LayerMarks } from "./layer-marks.ts";
import { parseLayerPath, splitPath } from "./layer-path.ts";
import { resolveFolders, type FolderStep } from "./resolve-folders.ts";

export interface ApplyLayerOptions extends Abortable {
  /**
   * Keeps the bytes of a file and tells which chunks of the tree they are. It has to read all of the content. Called for one
   * file at a time, and not for empty ones.
   */
  readonly storeFile: (
    content: AsyncIterable<TarContent>,
    size: number,
  ) => Promise<readonly number[]>;
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
  const layer: Layer = { tree, limits, marks: layerMarks(tree) };
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
        else {
          const name = tree.findName(folder, path.name);
          if (name !== undefined) layer.marks.hideLowerName(folder, name);
        }
        break;
      }
      case "place": {
        const folder = openFolder(layer, path.folders, entry.path);
        const { name } = path;
        const inode = await makeInode(layer, entry, { folder, name, storeFile });
        layer.marks.touch(tree.link(folder, name, inode));
        break;
      }
      default:
        path satisfies never;
    }
  }
}

interface Layer {
  readonly tree: FileTree;
  readonly limits: TreeLimits;
  readonly marks: LayerMarks;
}

interface Place {
  readonly folder: number;
  readonly name: ByteString;
  readonly storeFile: ApplyLayerOptions["storeFile"];
}

/**
 * Makes what an entry asks for. Hard links are made of what is there when the place itself is empty.
 *
 * @returns the number of the inode
 */
async function makeInode(layer: Layer, entry: TarEntry, place: Place): Promise<number> {
  const { tree, marks } = layer;
  const attributes = attributesOf(entry);
  const describe = (): string => entry.path;
  switch (entry.kind) {
    case "directory": {
      const directory = { ...attributes, kind: entry.kind } as const;
      const before = tree.find(place.folder, place.name);
      const isThere = before !== undefined && tree.kindOf(before) === "directory";
      if (isThere) tree.describe(before, directory);
      const inode = isThere ? before : tree.addInode(directory, describe);
      if (!isThere) marks.addFresh(inode);
      marks.addDescribed(inode);
      return inode;
    }
    case "hardlink": {
      const name = tree.findName(place.folder, place.name);
      if (name !== undefined) tree.unlink(name);
      return findLinkTarget(layer, entry);
    }
    case "file": {
      const { kind, size } = entry;
      const chunks = size === 0 ? [] : await place.storeFile(entry.content, size);
      return tree.addInode({ ...attributes, kind, size, chunks }, describe);
    }
    case "symlink": {
      checkSymlink(entry);
      const { kind, linkPath: target } = entry;
      // Linux has no modes of symlinks, whatever an archive says.
      return tree.addInode({ ...attributes, mode: 0o777, kind, target }, describe);
    }
    case "character-device":
    case "block-device": {
      const { kind, device } = entry;
      return tree.addInode({ ...attributes, kind, device }, describe);
    }
    case "fifo":
      return tree.addInode({ ...attributes, kind: entry.kind }, describe);
    default:
      return entry.kind satisfies never;
  }
}

function attributesOf({ mode, uid, gid, mtime, xattrs }: TarEntry): Omit<FileAttributes, "kind"> {
  return { mode, uid, gid, mtime, xattrs };
}

function checkSymlink({ path, linkPath }: TarEntry): void {
  if (linkPath === "") throw layerError(path, "it is a symlink to nothing");
  if (linkPath.includes("\0")) throw layerError(path, "the target of the symlink holds a NUL");
  if (linkPath.length > 4_095) {
    throw layerError(path, "the target of the symlink is longer than 4,095 bytes");
  }
}

function findLinkTarget({ tree }: Layer, { path, linkPath }: TarEntry): number {
  const target = JSON.stringify(linkPath.slice(0, 256));
  const names = splitPath(linkPath);
  if (typeof names === "string") {
    throw layerError(path, `the hard link to ${target} cannot be followed: ${names}`);
  }
  const steps = resolveFolders(tree, names.slice(0, -1));
  if (typeof steps === "string") {
    throw layerError(path, `the hard link to ${target} cannot be followed: ${steps}`);
  }
  const folder = lastFolder(steps);
  const name = names.at(-1);
  const inode =
    name === undefined ? rootInode : folder === undefined ? undefined : tree.find(folder, name);
  if (inode === undefined)
    throw layerError(path, `the hard link is to ${target}, which is missing`);
  if (tree.kindOf(inode) === "directory") {
    throw layerError(path, `the hard link is to ${target}, which is a directory`);
  }
  return inode;
}

function describeRoot({ tree, marks }: Layer, entry: TarEntry): void {
  if (entry.kind !== "directory") throw layerError(entry.path, "the root has to be a directory");
  tree.describe(rootInode, { ...attributesOf(entry), kind: "directory" });
  marks.addDescribed(rootInode);
}

/** The folder of that path, if there is one. */
function findFolder(
  { tree }: Layer,
  folders: readonly ByteString[],
  path: ByteString,
): number | undefined {
  const folder = lastFolder(followFolders(tree, folders, path));
  return folder !== undefined && tree.kindOf(folder) === "directory" ? folder : undefined;
}

function lastFolder(steps: readonly FolderStep[]): number | undefined {
  return steps.length === 0 ? rootInode : steps.at(-1)?.inode;
}

/** The folder of that path, made with all its parents where missing. */
function openFolder(layer: Layer, folders: readonly ByteString[], path: ByteString): number {
  const { tree, marks, limits } = layer;
  const steps = followFolders(tree, folders, path);
  if (steps.length > limits.maxDepth) {
    throw layerError(path, `it lies deeper than ${limits.maxDepth} directories`, "maxDepth");
  }
  let folder = rootInode;
  for (const { name, nameNumber, inode } of steps) {
    if (inode === undefined || nameNumber === undefined) {
      chargeEntry(layer, { path, metadataBytes: name.length });
      const made = tree.addInode(implicitDirectory);
      marks.addFresh(made);
      marks.touch(tree.link(folder, name, made));
      folder = made;
      continue;
    }
    if (tree.kindOf(inode) !== "directory") {
      throw layerError(path, `it lies in ${JSON.stringify(name)}, which is no directory`);
    }
    marks.touch(nameNumber);
    folder = inode;
  }
  return folder;
}

function followFolders(
  tree: FileTree,
  folders: readonly ByteString[],
  path: ByteString,
): readonly FolderStep[] {
  const steps = resolveFolders(tree, folders);
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
