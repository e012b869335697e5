import { diskError } from "./disk-error.ts";
import type { DiskReader } from "./disk-reader.ts";

/** A file, directory or link of an ext filesystem. */
export interface ExtInode {
  readonly type: "file" | "directory" | "symlink" | "other";
  /** Bytes */
  readonly size: number;
  readonly flags: number;
  /** 60 bytes that lead to the content, or are it */
  readonly block: Buffer;
}

/** Blocks that follow each other on the disk. */
interface Run {
  /** Number within the file */
  readonly logical: number;
  /** Number on the disk; 0 for blocks that read as zeros */
  readonly physical: number;
  readonly count: number;
}

export interface ExtLayout {
  readonly disk: DiskReader;
  readonly blockSize: number;
}

export const inodeFlags = { encrypted: 0x800, extents: 0x8_0000, inlineData: 0x1000_0000 };
const maxRuns = 100_000;
const maxDepth = 5;

export function parseInode(bytes: Buffer): ExtInode {
  const size = bytes.readUInt32LE(0x04) + bytes.readUInt32LE(0x6c) * 2 ** 32;
  const kinds = { 0x4: "directory", 0x8: "file", 0xa: "symlink" } as const;
  const kind = bytes.readUInt16LE(0) >> 12;
  return {
    type: kind === 0x4 || kind === 0x8 || kind === 0xa ? kinds[kind] : "other",
    size,
    flags: bytes.readUInt32LE(0x20),
    block: Buffer.from(bytes.subarray(0x28, 0x28 + 60)),
  };
}

/** All bytes of a file or directory, or text of a link. @throws {LongshoreError} `DISK_UNREADABLE` beyond `maxBytes` */
export async function readContent(
  layout: ExtLayout,
  inode: ExtInode,
  maxBytes: number,
): Promise<Buffer> {
  const { size, flags, block, type } = inode;
  if (size > maxBytes) throw diskError(`A ${type} of ${size} bytes; ${maxBytes} are read at most.`);
  if ((flags & inodeFlags.encrypted) !== 0) throw diskError(`An encrypted ${type}.`);
  const isShortLink = type === "symlink" && size < 60 && (flags & inodeFlags.extents) === 0;
  if (isShortLink || ((flags & inodeFlags.inlineData) !== 0 && size <= 60)) {
    return block.subarray(0, size);
  }
  if ((flags & inodeFlags.inlineData) !== 0) {
    throw diskError("Content in extended attributes is not supported.");
  }
  const content = Buffer.alloc(size);
  const runs =
    (flags & inodeFlags.extents) !== 0 ? await extentRuns(layout, block) : blockRuns(layout, inode);
  for await (const run of runs) await copyRun(layout, run, content);
  return content;
}

async function copyRun({ disk, blockSize }: ExtLayout, run: Run, content: Buffer): Promise<void> {
  const start = run.logical * blockSize;
  if (run.physical === 0 || start >= content.length) return;
  const length = Math.min(run.count * blockSize, content.length - start);
  (await disk.read(run.physical * blockSize, length)).copy(content, start);
}

/** ext4: a tree of runs. */
async function extentRuns({ disk, blockSize }: ExtLayout, root: Buffer): Promise<readonly Run[]> {
  const runs: Run[] = [];
  let nodes = 0;
  const visit = async (node: Buffer, depthAbove: number): Promise<void> => {
    const entries = node.readUInt16LE(2);
    const depth = node.readUInt16LE(6);
    nodes += 1;
    const isTree = node.readUInt16LE(0) === 0xf30a && 12 + entries * 12 <= node.length;
    if (!isTree || depth >= depthAbove || runs.length + entries > maxRuns || nodes > maxRuns) {
      throw diskError("A broken extent tree.");
    }
    for (let at = 12; at < 12 + entries * 12; at += 12) {
      if (depth === 0) {
        const length = node.readUInt16LE(at + 4);
        // Longer than 32,768 blocks: reserved, not written yet.
        const isWritten = length <= 32_768;
        const physical = node.readUInt16LE(at + 6) * 2 ** 32 + node.readUInt32LE(at + 8);
        runs.push({
          logical: node.readUInt32LE(at),
          physical: isWritten ? physical : 0,
          count: isWritten ? length : length - 32_768,
        });
      } else {
        const child = node.readUInt16LE(at + 8) * 2 ** 32 + node.readUInt32LE(at + 4);
        await visit(await disk.read(child * blockSize, blockSize), depth);
      }
    }
  };
  await visit(root, maxDepth + 1);
  return runs;
}

/** ext2 and ext3: twelve blocks, then blocks that list blocks, up to three levels deep. */
async function* blockRuns({ disk, blockSize }: ExtLayout, inode: ExtInode): AsyncGenerator<Run> {
  const wanted = Math.ceil(inode.size / blockSize);
  const perBlock = blockSize / 4;
  let logical = 0;
  async function* visit(block: number, level: number): AsyncGenerator<Run> {
    if (logical >= wanted) return;
    if (level === 0) {
      yield { logical, physical: block, count: 1 };
      logical += 1;
    } else if (block === 0) {
      logical += perBlock ** level;
    } else {
      const list = await disk.read(block * blockSize, blockSize);
      for (let index = 0; index < perBlock && logical < wanted; index += 1) {
        yield* visit(list.readUInt32LE(index * 4), level - 1);
      }
    }
  }
  for (let index = 0; index < 15; index += 1) {
    yield* visit(inode.block.readUInt32LE(index * 4), Math.max(0, index - 11));
  }
}
