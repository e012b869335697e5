import { checkName } from "./check-inode.ts";
import { HashSlots } from "./hash-slots.ts";
import type { ByteString } from "./inode.ts";
import { PackedRows } from "./packed-rows.ts";
import type { PackedTexts } from "./packed-texts.ts";
import type { ScratchSpace } from "./scratch-space.ts";

// Offsets in a row: the directory, the text, the inode, and the name of the directory that came before this one.
const directoryAt = 0;
const textAt = 4;
const inodeAt = 8;
const nextAt = 12;
const rowSize = 16;

/** The number of no name */
export const noName = 0;
/** What a name leads to that was taken away: the root, which has no name */
const nothing = 0;

/** Names of directories, numbered from 1. A number stays with its name and directory, whatever it leads to. */
export class PackedNames {
  readonly #rows: PackedRows;
  readonly #texts: PackedTexts;
  readonly #slots = new HashSlots();

  /** @param scratch takes what is seldom looked at */
  constructor(texts: PackedTexts, scratch?: ScratchSpace) {
    this.#rows = new PackedRows(rowSize, scratch);
    this.#texts = texts;
    this.#rows.add();
  }

  /** Numbers so far, {@link noName} included */
  get length(): number {
    return this.#rows.length;
  }

  /** The number of a name, {@link noName} when the directory never had it. */
  find(directory: number, text: ByteString): number {
    return this.#find(this.#hash(directory, text), directory, text);
  }

  /**
   * The number of a name, which is a new one when the directory never had it.
   *
   * @param next what {@link next} is to say of a new one
   * @throws {LongshoreError} `VALIDATION_ERROR`, `LIMIT_EXCEEDED` for what is no name
   */
  findOrAdd(directory: number, text: ByteString, next: number): number {
    const hash = this.#hash(directory, text);
    const known = this.#find(hash, directory, text);
    if (known !== noName) return known;
    checkName(text, () => text);
    const name = this.#rows.add();
    this.#rows.setUint32(name, directoryAt, directory);
    this.#rows.setUint32(name, textAt, this.#texts.add(text));
    this.#rows.setUint32(name, nextAt, next);
    this.#slots.add(name, hash);
    return name;
  }

  /** Gives back the memory that only {@link find} needs: it finds nothing from here on. */
  forgetIndex(): void {
    this.#slots.clear();
  }

  directory(name: number): number {
    return this.#rows.getUint32(name, directoryAt);
  }

  text(name: number): ByteString {
    return this.#texts.get(this.#place(name));
  }

  /** The inode that a name leads to, if any: {@link noName} leads to none */
  inode(name: number): number | undefined {
    const inode = this.#rows.getUint32(name, inodeAt);
    return inode === nothing ? undefined : inode;
  }

  setInode(name: number, inode: number | undefined): void {
    this.#rows.setUint32(name, inodeAt, inode ?? nothing);
  }

  /** Another name of the directory: from its last name on, all of them are there, {@link noName} at the end */
  next(name: number): number {
    return this.#rows.getUint32(name, nextAt);
  }

  /** Compares names as bytes. */
  compare(one: number, other: number): number {
    return this.#texts.compare(this.#place(one), this.#place(other));
  }

  #find(hash: number, directory: number, text: ByteString): number {
    const isIt = (name: number): boolean =>
      this.directory(name) === directory && this.#texts.isEqual(this.#place(name), text);
    return this.#slots.find(hash, isIt) ?? noName;
  }

  #place(name: number): number {
    return this.#rows.getUint32(name, textAt);
  }

  #hash(directory: number, text: ByteString): number {
    let hash = this.#slots.mix(0, directory + 1);
    for (let index = 0; index < text.length; index += 1) {
      hash = this.#slots.mix(hash, text.charCodeAt(index));
    }
    return hash;
  }
}
