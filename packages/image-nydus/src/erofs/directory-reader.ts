import type { ByteString } from "../tree/inode.ts";
import { countNames, nameAt, type DirectoryName } from "./directory-blocks.ts";
import { erofsFault } from "./erofs-fault.ts";
import { blockSize } from "./superblock.ts";

/** The blocks of a directory, to look names up in. */
export interface DirectoryReader {
  /** The name, `.` and `..` included */
  find(name: ByteString): DirectoryName | undefined;
  /** All names in byte order, `.` and `..` included, from the first that is greater than `after` on */
  names(after?: ByteString): IterableIterator<DirectoryName>;
}

/**
 * Reads a directory, block by block and only as far as needed. Every call throws `LongshoreError`
 * `IMAGE_CHECKSUM_MISMATCH` when it meets names that are damaged or out of order.
 *
 * @param size bytes of the directory
 * @param block the bytes of its block of that number; the last may be short
 */
export function directoryReader(size: number, block: (index: number) => Buffer): DirectoryReader {
  const blocks = Math.ceil(size / blockSize);

  /** The last block whose first name is not greater than the name; -1 when all are greater. */
  const blockFor = (name: ByteString): number => {
    let low = 0;
    let high = blocks - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const bytes = block(middle);
      if (nameAt(bytes, 0, countNames(bytes)).name > name) high = middle - 1;
      else low = middle + 1;
    }
    return high;
  };

  return {
    find(name) {
      const index = blockFor(name);
      if (index === -1) return undefined;
      const bytes = block(index);
      const count = countNames(bytes);
      const position = firstAbove(bytes, count, name) - 1;
      const found = position < 0 ? undefined : nameAt(bytes, position, count);
      return found?.name === name ? found : undefined;
    },
    *names(after) {
      let last = after;
      for (
        let index = Math.max(after === undefined ? 0 : blockFor(after), 0);
        index < blocks;
        index += 1
      ) {
        const bytes = block(index);
        const count = countNames(bytes);
        const start = after === undefined ? 0 : firstAbove(bytes, count, after);
        for (let position = start; position < count; position += 1) {
          const entry = nameAt(bytes, position, count);
          if (last !== undefined && entry.name <= last) {
            throw erofsFault("directory-order", "the names of a directory are not in byte order");
          }
          last = entry.name;
          yield entry;
        }
      }
    },
  };
}

/** Position of the first name of the block that is greater; `count` when none is. */
function firstAbove(bytes: Buffer, count: number, name: ByteString): number {
  let low = 0;
  let end = count;
  while (low < end) {
    const middle = (low + end) >>> 1;
    if (nameAt(bytes, middle, count).name > name) end = middle;
    else low = middle + 1;
  }
  return low;
}
