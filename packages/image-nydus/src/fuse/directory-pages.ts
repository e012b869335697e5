import type { DirectoryEntry, ReadableFilesystem } from "../rafs/readable-filesystem.ts";
import type { ByteString } from "../tree/inode.ts";

/** An entry and its place in the directory: 0 is `.`, 1 is `..`. */
interface PlacedEntry extends DirectoryEntry {
  readonly place: number;
}

export interface DirectoryPages {
  /** Entries of a directory from a place on. */
  from(directoryNid: number, place: number): IterableIterator<PlacedEntry>;
}

/** Every how many entries a name is noted. */
const stride = 256;
/** Notes kept, over all directories. */
const maxNotes = 65_536;

/**
 * Reads directories in pages that start at a number. The metadata can continue after a name, so every 256th name is noted
 * when it comes by: any page is reached without a walk from the start, and without holding a directory in memory.
 */
export function directoryPages(filesystem: ReadableFilesystem): DirectoryPages {
  // Names of the entries numbered 255, 511, …, by directory; in order of last use.
  const notes = new Map<number, ByteString[]>();
  let noted = 0;

  const notesOf = (nid: number): ByteString[] => {
    const found = notes.get(nid) ?? [];
    notes.delete(nid);
    notes.set(nid, found);
    return found;
  };
  const note = (nid: number, name: ByteString): void => {
    notesOf(nid).push(name);
    noted += 1;
    for (const [oldest, names] of notes) {
      if (noted <= maxNotes || oldest === nid) break;
      notes.delete(oldest);
      noted -= names.length;
    }
  };

  function* named(nid: number, first: number): IterableIterator<PlacedEntry> {
    const known = notes.get(nid)?.slice(0, Math.floor(first / stride)) ?? [];
    let index = known.length * stride;
    for (const entry of filesystem.entries(nid, known.at(-1))) {
      if (
        index % stride === stride - 1 &&
        (notes.get(nid)?.length ?? 0) === (index + 1) / stride - 1
      ) {
        note(nid, entry.name);
      }
      if (index >= first) yield { ...entry, place: index + 2 };
      index += 1;
    }
  }

  return {
    *from(nid, place) {
      if (place <= 0) yield { name: ".", nid, kind: "directory", place: 0 };
      if (place <= 1) {
        yield { name: "..", nid: filesystem.parent(nid), kind: "directory", place: 1 };
      }
      yield* named(nid, Math.max(0, place - 2));
    },
  };
}
