import { diskError } from "./disk-error.ts";
import type { DiskReader } from "./disk-reader.ts";
import { inodeFlags, parseInode, readContent, type ExtInode, type ExtLayout } from "./ext-inode.ts";

/** Reads single files of an ext2, ext3 or ext4 filesystem, without mounting it and without trusting it. */
export interface ExtFilesystem {
  /**
   * Content of a regular file; symbolic links are followed inside the filesystem. `undefined` when there is none.
   *
   * @throws {LongshoreError} `DISK_UNREADABLE` for a file longer than `maxBytes`, or a filesystem that is broken
   */
  readFile(path: string, maxBytes: number): Promise<Buffer | undefined>;
}

const rootInode = 2;
const maxLinks = 16;
const maxDirectoryBytes = 16 * 1_048_576;
/** meta_bg, compression, a journal device: the layout is another */
const unsupportedFeatures = 0x10 | 0x1 | 0x8;

/** @throws {LongshoreError} `DISK_UNREADABLE` for features that change the layout */
export async function openExtFilesystem(disk: DiskReader): Promise<ExtFilesystem> {
  const superblock = await disk.read(1_024, 1_024);
  const incompat = superblock.readUInt32LE(0x60);
  if ((incompat & unsupportedFeatures) !== 0) {
    throw diskError(`ext features 0x${incompat.toString(16)} are not supported.`);
  }
  const logBlockSize = superblock.readUInt32LE(0x18);
  if (logBlockSize > 6) throw diskError("An impossible block size.");
  const blockSize = 2 ** (10 + logBlockSize);
  const layout: ExtLayout = { disk, blockSize };
  const inodesPerGroup = superblock.readUInt32LE(0x28);
  const inodeCount = superblock.readUInt32LE(0x00);
  const inodeSize = superblock.readUInt32LE(0x4c) === 0 ? 128 : superblock.readUInt16LE(0x58);
  const is64Bit = (incompat & 0x80) !== 0;
  const descriptorSize = is64Bit ? superblock.readUInt16LE(0xfe) : 32;
  const descriptorsAt = (superblock.readUInt32LE(0x14) + 1) * blockSize;
  if (inodesPerGroup === 0 || inodeSize < 128 || inodeSize > blockSize || descriptorSize < 32) {
    throw diskError("A broken superblock.");
  }

  const readInode = async (number: number): Promise<ExtInode> => {
    if (number < 1 || number > inodeCount) throw diskError(`There is no inode ${number}.`);
    const group = Math.floor((number - 1) / inodesPerGroup);
    const descriptor = await disk.read(descriptorsAt + group * descriptorSize, descriptorSize);
    const high = is64Bit && descriptorSize >= 64 ? descriptor.readUInt32LE(0x28) : 0;
    const table = (high * 2 ** 32 + descriptor.readUInt32LE(0x08)) * blockSize;
    const offset = table + ((number - 1) % inodesPerGroup) * inodeSize;
    return parseInode(await disk.read(offset, inodeSize));
  };

  const find = async (directory: ExtInode, name: string): Promise<number | undefined> => {
    if ((directory.flags & inodeFlags.inlineData) !== 0) {
      throw diskError("Directories inside inodes are not supported.");
    }
    return findEntry(await readContent(layout, directory, maxDirectoryBytes), name);
  };

  return {
    async readFile(path, maxBytes) {
      let links = 0;
      // Inodes from the root to where we are: ".." is a step back, and never leads out.
      let trail = [await readInode(rootInode)];
      if (trail[0]?.type !== "directory") throw diskError("The root is not a directory.");
      const names = split(path);
      for (let name = names.shift(); name !== undefined; name = names.shift()) {
        const here = trail.at(-1);
        if (here?.type !== "directory") return undefined;
        if (name === "..") {
          if (trail.length > 1) trail.pop();
          continue;
        }
        const number = await find(here, name);
        if (number === undefined) return undefined;
        const inode = await readInode(number);
        if (inode.type !== "symlink") {
          trail.push(inode);
          continue;
        }
        links += 1;
        if (links > maxLinks) throw diskError(`Too many symbolic links on the way to ${path}.`);
        const target = (await readContent(layout, inode, 4_096)).toString("utf8");
        if (target.startsWith("/")) trail = trail.slice(0, 1);
        names.unshift(...split(target));
      }
      const inode = trail.at(-1);
      return inode?.type === "file" ? readContent(layout, inode, maxBytes) : undefined;
    },
  };
}

function split(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

/** Entries follow each other; an index of hashes, where there is one, looks like entries that are not in use. */
function findEntry(directory: Buffer, name: string): number | undefined {
  const wanted = Buffer.from(name);
  for (let at = 0; at + 8 <= directory.length;) {
    const length = directory.readUInt16LE(at + 4);
    if (length < 8 || at + length > directory.length) throw diskError("A broken directory.");
    const nameLength = directory.readUInt8(at + 6);
    const inode = directory.readUInt32LE(at);
    const isName = directory.subarray(at + 8, at + 8 + nameLength).equals(wanted);
    if (inode !== 0 && isName && 8 + nameLength <= length) return inode;
    at += length;
  }
  return undefined;
}
