import { LongshoreError } from "@longshore/core/errors";
import { checkInode } from "./check-inode.ts";
import type { FileAttributes, FileKind, FileTime } from "./inode.ts";
import type { PackedChunks } from "./packed-chunks.ts";
import { PackedRows } from "./packed-rows.ts";
import type { PackedTexts } from "./packed-texts.ts";
import type { ScratchSpace } from "./scratch-space.ts";
import type { TreeDirectory, TreeInode } from "./tree-inode.ts";

const kinds: readonly FileKind[] = [
  "file",
  "directory",
  "symlink",
  "character-device",
  "block-device",
  "fifo",
  "socket",
];
const kindNumbers = new Map(kinds.map((kind, number) => [kind, number]));
const kindShift = 12;

// Offsets in a row. The first is of the kind above the mode, the last of what the kind has besides.
const modeAt = 0;
const uidAt = 2;
const gidAt = 6;
const nanosecondsAt = 10;
const secondsAt = 14;
const detailAt = 22;
const rowSize = 26;

/** What all files without extended attributes have in common. */
export const noXattrs: FileAttributes["xattrs"] = new Map();

/** Inodes, numbered from 0 in the order in which they came. */
export class PackedInodes {
  readonly #rows: PackedRows;
  readonly #chunks: PackedChunks;
  readonly #texts: PackedTexts;
  /** Of files with several chunks: how many, and the numbers of each */
  readonly #lists: PackedRows;
  readonly #xattrs = new Map<number, FileAttributes["xattrs"]>();

  /** @param scratch takes what is seldom looked at */
  constructor(chunks: PackedChunks, texts: PackedTexts, scratch?: ScratchSpace) {
    this.#rows = new PackedRows(rowSize, scratch);
    this.#chunks = chunks;
    this.#texts = texts;
    this.#lists = new PackedRows(4, scratch);
    // A detail of 0 stands for no chunks at all.
    this.#lists.add();
  }

  get length(): number {
    return this.#rows.length;
  }

  /** @throws {LongshoreError} `VALIDATION_ERROR` for what no file can have */
  add(inode: TreeInode, describe: () => string): number {
    checkInode(inode, describe);
    const detail = this.#detailOf(inode, describe);
    const number = this.#rows.add();
    this.#setAttributes(number, inode);
    this.#rows.setUint32(number, detailAt, detail);
    return number;
  }

  /** Gives a directory other attributes. */
  describe(number: number, directory: TreeDirectory): void {
    checkInode(directory, () => "directory");
    this.#setAttributes(number, directory);
  }

  kind(number: number): FileKind {
    return kinds[this.#rows.getUint16(number, modeAt) >>> kindShift] ?? "file";
  }

  get(number: number): TreeInode {
    const kind = this.kind(number);
    const attributes = this.#attributesOf(number);
    switch (kind) {
      case "file": {
        const chunks = this.#chunksOf(number);
        return { ...attributes, kind, size: this.#sizeOf(chunks), chunks };
      }
      case "symlink":
        return { ...attributes, kind, target: this.#texts.get(this.detail(number)) };
      case "character-device":
      case "block-device": {
        const detail = this.detail(number);
        return { ...attributes, kind, device: { major: detail >>> 20, minor: detail & 0xf_ffff } };
      }
      case "directory":
      case "fifo":
      case "socket":
        return { ...attributes, kind };
      default:
        return kind satisfies never;
    }
  }

  /** Of a directory: what the tree has put there */
  detail(number: number): number {
    return this.#rows.getUint32(number, detailAt);
  }

  setDetail(number: number, detail: number): void {
    this.#rows.setUint32(number, detailAt, detail);
  }

  #setAttributes(number: number, { kind, mode, uid, gid, mtime, xattrs }: TreeInode): void {
    const rows = this.#rows;
    rows.setUint16(number, modeAt, ((kindNumbers.get(kind) ?? 0) << kindShift) | mode);
    rows.setUint32(number, uidAt, uid);
    rows.setUint32(number, gidAt, gid);
    rows.setUint32(number, nanosecondsAt, mtime.nanoseconds);
    rows.setFloat64(number, secondsAt, mtime.seconds);
    if (xattrs.size > 0) this.#xattrs.set(number, xattrs);
    else this.#xattrs.delete(number);
  }

  #attributesOf(number: number): Omit<FileAttributes, "kind"> {
    const rows = this.#rows;
    const mtime: FileTime = {
      seconds: rows.getFloat64(number, secondsAt),
      nanoseconds: rows.getUint32(number, nanosecondsAt),
    };
    return {
      mode: rows.getUint16(number, modeAt) & 0o7777,
      uid: rows.getUint32(number, uidAt),
      gid: rows.getUint32(number, gidAt),
      mtime,
      xattrs: this.#xattrs.get(number) ?? noXattrs,
    };
  }

  #detailOf(inode: TreeInode, describe: () => string): number {
    switch (inode.kind) {
      case "file":
        if (this.#sizeOf(inode.chunks) !== inode.size) {
          throw new LongshoreError(
            "VALIDATION_ERROR",
            `The file "${describe()}" of ${inode.size} bytes has chunks of ${this.#sizeOf(inode.chunks)}`,
          );
        }
        return this.#addChunks(inode.chunks);
      case "symlink":
        return this.#texts.add(inode.target);
      case "character-device":
      case "block-device":
        return ((inode.device.major << 20) | inode.device.minor) >>> 0;
      case "directory":
      case "fifo":
      case "socket":
        return 0;
      default:
        return inode satisfies never;
    }
  }

  /** Most files have one chunk: it needs no list. */
  #addChunks(chunks: readonly number[]): number {
    const [first] = chunks;
    if (first === undefined) return 0;
    if (chunks.length === 1) return first * 2 + 1;
    const list = this.#lists.add();
    this.#lists.setUint32(list, 0, chunks.length);
    for (const chunk of chunks) this.#lists.setUint32(this.#lists.add(), 0, chunk);
    return list * 2;
  }

  #chunksOf(number: number): readonly number[] {
    const detail = this.detail(number);
    if (detail === 0) return [];
    if (detail % 2 === 1) return [(detail - 1) / 2];
    const list = detail / 2;
    const length = this.#lists.getUint32(list, 0);
    return Array.from({ length }, (_, index) => this.#lists.getUint32(list + 1 + index, 0));
  }

  #sizeOf(chunks: readonly number[]): number {
    let size = 0;
    for (const chunk of chunks) size += this.#chunks.size(chunk);
    return size;
  }
}
