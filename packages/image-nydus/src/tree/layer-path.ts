import type { ByteString } from "./inode.ts";

/** What an entry's path asks for. Folders are names from the root down, none for the root itself. */
export type LayerPath =
  | { readonly kind: "root" }
  | { readonly kind: "place"; readonly folders: readonly ByteString[]; readonly name: ByteString }
  /** Hides a name of the layers below */
  | {
      readonly kind: "whiteout";
      readonly folders: readonly ByteString[];
      readonly name: ByteString;
    }
  /** Hides all that a directory has from the layers below */
  | { readonly kind: "opaque"; readonly folders: readonly ByteString[] }
  /** Left behind by a storage driver for itself */
  | { readonly kind: "reserved" };

const whiteoutPrefix = ".wh.";
const reservedPrefix = ".wh..wh.";
const opaqueName = ".wh..wh..opq";
const maxNameBytes = 255;

/**
 * Splits a path of a layer into names. Slashes and dots that mean nothing are dropped, so that a path always begins at the
 * root; `..` is refused wherever it leads to.
 *
 * @returns the problem as a text for a path that cannot be used
 */
export function splitPath(path: ByteString): readonly ByteString[] | string {
  if (path === "") return "its path is empty";
  if (path.includes("\0")) return "its path holds a NUL";
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  return names.includes("..") ? "its path holds .., which may lead out of the image" : names;
}

/** Finds out what an entry's path asks for. Returns the problem as a text for a path that cannot be used. */
export function parseLayerPath(path: ByteString): LayerPath | string {
  const names = splitPath(path);
  if (typeof names === "string") return names;
  const folders = names.slice(0, -1);
  const last = names.at(-1);
  if (last === undefined) return { kind: "root" };
  if (folders.some((name) => name.startsWith(reservedPrefix))) return { kind: "reserved" };
  if (folders.some((name) => name.startsWith(whiteoutPrefix))) {
    return "it lies in a whiteout, which is no directory";
  }
  const isWhiteout = last.startsWith(whiteoutPrefix);
  const name = isWhiteout ? last.slice(whiteoutPrefix.length) : last;
  if ([...folders, name].some(({ length }) => length > maxNameBytes)) {
    return `a name in its path is longer than ${maxNameBytes} bytes`;
  }
  if (!isWhiteout) return { kind: "place", folders, name };
  if (last === opaqueName) return { kind: "opaque", folders };
  if (last.startsWith(reservedPrefix)) return { kind: "reserved" };
  if (name === "" || name === "." || name === "..") return "it is a whiteout of no file";
  return { kind: "whiteout", folders, name };
}
