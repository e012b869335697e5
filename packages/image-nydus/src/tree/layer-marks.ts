import { implicitDirectory } from "./file-tree.ts";
import type { ByteString, DirectoryInode } from "./inode.ts";

type Children = DirectoryInode["children"];

/**
 * Knows which names of a tree a layer has put there itself, so that its whiteouts spare them wherever they stand in the
 * layer. Directories are known by their children, which stay the same when attributes change.
 */
export interface LayerMarks {
  /** The layer has put something in this place, or under it */
  touch(folder: DirectoryInode, name: ByteString): void;
  /** The layer has made this directory, so that nothing in it is from below */
  addFresh(directory: DirectoryInode): void;
  /** The layer says itself what attributes this directory has */
  addDescribed(directory: DirectoryInode): void;
  /** Removes from a folder what is there from the layers below. */
  hideLower(folder: DirectoryInode): void;
  /** Removes a name of a folder when, and as far as, it is from the layers below. */
  hideLowerName(folder: DirectoryInode, name: ByteString): void;
}

/** Marks for one layer; forget them with it. */
export function layerMarks(): LayerMarks {
  /** Names by the directory they are in, of directories that hold names from below as well */
  const touched = new Map<Children, Set<ByteString>>();
  const fresh = new Set<Children>();
  const described = new Set<Children>();

  /** Returns a directory that is left of the name, of which the children have to be looked at. */
  function hide(folder: DirectoryInode, name: ByteString): DirectoryInode | undefined {
    const { children } = folder;
    const inode = children.get(name);
    if (inode === undefined || fresh.has(children)) return undefined;
    if (touched.get(children)?.has(name) !== true) {
      children.delete(name);
      return undefined;
    }
    if (inode.kind !== "directory") return undefined;
    // The directory from below is gone; in its place is one that only the files in it tell of.
    if (!described.has(inode.children)) children.set(name, implicitDirectory(inode.children));
    return inode;
  }

  // Each directory is looked through at most once a layer, however many markers there are: it is fresh afterwards.
  function hideLower(folder: DirectoryInode): void {
    const pending = [folder];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      if (fresh.has(next.children)) continue;
      for (const name of next.children.keys()) {
        const rest = hide(next, name);
        if (rest !== undefined) pending.push(rest);
      }
      fresh.add(next.children);
      touched.delete(next.children);
    }
  }

  return {
    touch({ children }, name) {
      if (fresh.has(children)) return;
      const names = touched.get(children);
      if (names === undefined) touched.set(children, new Set([name]));
      else names.add(name);
    },
    addFresh({ children }) {
      fresh.add(children);
    },
    addDescribed({ children }) {
      described.add(children);
    },
    hideLower,
    hideLowerName(folder, name) {
      const rest = hide(folder, name);
      if (rest !== undefined) hideLower(rest);
    },
  };
}
