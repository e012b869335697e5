import { readSync, writeSync } from "node:fs";

/** Room in a file for what is seldom looked at. Whoever opened the file closes and deletes it. */
export class ScratchSpace {
  readonly #fd: number;
  #end = 0;

  /** @param fd of an empty file, opened to read and write */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** @returns the position of that many bytes that nobody else uses */
  allocate(size: number): number {
    const position = this.#end;
    this.#end += size;
    return position;
  }

  /** @throws the system's error, e.g. for want of room */
  write(bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length;) {
      done += writeSync(this.#fd, bytes, done, bytes.length - done, position + done);
    }
  }

  read(target: Uint8Array, position: number): void {
    for (let done = 0; done < target.length;) {
      const count = readSync(this.#fd, target, done, target.length - done, position + done);
      if (count === 0) throw new RangeError(`nothing was written at ${position}`);
      done += count;
    }
  }
}
