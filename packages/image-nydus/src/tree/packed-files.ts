import { noXattrs } from "./file-tree.ts";
import type { ChunkRef, FileInode, FileTime } from "./inode.ts";

/** Makes the inodes of files, whose numbers lie side by side in few large buffers: an image may have a million of them. */
export interface PackedFiles {
  add(file: Omit<FileInode, "kind">): FileInode;
}

// Offsets in a row.
const modeAt = 0;
const uidAt = 2;
const gidAt = 6;
const nanosecondsAt = 10;
const secondsAt = 14;
const sizeAt = 22;
const rowSize = 30;
const pageRows = 2_048;

export function packedFiles(): PackedFiles {
  let page = Buffer.alloc(0);
  let next = 0;
  return {
    add({ mode, uid, gid, mtime, xattrs, size, chunks }) {
      if (next === page.length) {
        page = Buffer.allocUnsafeSlow(pageRows * rowSize);
        next = 0;
      }
      const row = next;
      next += rowSize;
      page.writeUInt16LE(mode, row + modeAt);
      page.writeUInt32LE(uid, row + uidAt);
      page.writeUInt32LE(gid, row + gidAt);
      page.writeUInt32LE(mtime.nanoseconds, row + nanosecondsAt);
      page.writeDoubleLE(mtime.seconds, row + secondsAt);
      page.writeDoubleLE(size, row + sizeAt);
      return new PackedFile(page, row, { chunks, xattrs });
    },
  };
}

/** A row of a page, read when it is asked for. */
class PackedFile implements FileInode {
  // Few fields, since there are so many of these.
  readonly #page: Buffer;
  readonly #row: number;
  /** Most files have one, and an array for it would take more room than all else */
  readonly #chunks: ChunkRef | readonly ChunkRef[];
  readonly #xattrs: FileInode["xattrs"];

  constructor(page: Buffer, row: number, { chunks, xattrs }: Pick<FileInode, "chunks" | "xattrs">) {
    const [first] = chunks;
    this.#page = page;
    this.#row = row;
    this.#chunks = first !== undefined && chunks.length === 1 ? first : chunks.slice();
    this.#xattrs = xattrs.size === 0 ? noXattrs : xattrs;
  }

  get kind(): "file" {
    return "file";
  }

  get mode(): number {
    return this.#page.readUInt16LE(this.#row + modeAt);
  }

  get uid(): number {
    return this.#page.readUInt32LE(this.#row + uidAt);
  }

  get gid(): number {
    return this.#page.readUInt32LE(this.#row + gidAt);
  }

  get mtime(): FileTime {
    return {
      seconds: this.#page.readDoubleLE(this.#row + secondsAt),
      nanoseconds: this.#page.readUInt32LE(this.#row + nanosecondsAt),
    };
  }

  get xattrs(): FileInode["xattrs"] {
    return this.#xattrs;
  }

  get size(): number {
    return this.#page.readDoubleLE(this.#row + sizeAt);
  }

  get chunks(): readonly ChunkRef[] {
    return Array.isArray(this.#chunks) ? this.#chunks : [this.#chunks as ChunkRef];
  }
}
