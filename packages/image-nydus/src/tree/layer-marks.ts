import { implicitDirectory, type FileTree } from "./file-tree.ts";
import { NumberSet } from "./number-set.ts";

/**
 * Knows which names of a tree a layer has put there itself, so that its whiteouts spare them wherever they stand in the
 * layer.
 */
export interface LayerMarks {
  /** The layer has put something in the place of this name, or under it */
  touch(name: number): void;
  /** The layer has made this directory, so that nothing in it is from below */
  addFresh(directory: number): void;
  /** The layer says itself what attributes this directory has */
  addDescribed(directory: number): void;
  /** Removes from a directory what is there from the layers below. */
  hideLower(directory: number): void;
  /** Removes a name of a directory when, and as far as, it is from the layers below. */
  hideLowerName(directory: number, name: number): void;
}

/** Marks for one layer; forget them with it. */
export function layerMarks(tree: FileTree): LayerMarks {
  /** Names */
  const touched = new NumberSet();
  /** Directories */
  const fresh = new NumberSet();
  const described = new NumberSet();

  /** Returns a directory that is left of the name, of which the children have to be looked at. */
  function hide(directory: number, name: number): number | undefined {
    const inode = tree.inodeOf(name);
    if (inode === undefined || fresh.has(directory)) return undefined;
    if (!touched.has(name)) {
      tree.unlink(name);
      return undefined;
    }
    if (tree.kindOf(inode) !== "directory") return undefined;
    // The directory from below is gone; in its place is one that only the files in it tell of.
    if (!described.has(inode)) tree.describe(inode, implicitDirectory);
    return inode;
  }

  // Each directory is looked through at most once a layer, however many markers there are: it is fresh afterwards.
  function hideLower(directory: number): void {
    const pending = [directory];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      if (fresh.has(next)) continue;
      for (const name of tree.namesIn(next)) {
        const rest = hide(next, name);
        if (rest !== undefined) pending.push(rest);
      }
      fresh.add(next);
    }
  }

  return {
    touch: (name) => {
      touched.add(name);
    },
    addFresh: (directory) => {
      fresh.add(directory);
    },
    addDescribed: (directory) => {
      described.add(directory);
    },
    hideLower,
    hideLowerName(directory, name) {
      const rest = hide(directory, name);
      if (rest !== undefined) hideLower(rest);
    },
  };
}
