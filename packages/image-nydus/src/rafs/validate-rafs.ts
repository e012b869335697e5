import { decodeInode } from "../erofs/inode-record.ts";
import { blockSize, inodeSlotSize } from "../erofs/superblock.ts";
import { metadataReader } from "../erofs/metadata-reader.ts";
import { chunkEntrySize, decodeChunkEntry } from "./chunk-table.ts";
import { openBootstrap, type RafsFilesystem } from "./open-bootstrap.ts";
import { rafsFault } from "./rafs-fault.ts";
import { readRafsHeader, type RafsHeader } from "./rafs-header.ts";

/** What a valid image holds. */
export interface RafsSummary {
  /** Distinct inodes that names lead to */
  readonly inodes: number;
  readonly directories: number;
  /** Bytes of all files, each counted once */
  readonly fileBytes: number;
  /** Chunks that files refer to, repetitions included */
  readonly chunkRefs: number;
  /** Entries of the chunk table */
  readonly chunks: number;
}

export interface ValidateRafsOptions {
  /**
   * Who is to read the image. `"kernel"` asks besides that devices are mapped behind the image and each other, which
   * Nydus does not need and images of its 2.2 builder do not fulfil. @default "kernel"
   */
  readonly reader?: "kernel" | "nydus";
}

/**
 * Checks a whole RAFS v6 bootstrap: everything `openBootstrap` checks, the tables, and every inode, name, xattr and chunk.
 * Its time is bounded by the size of the image, whatever is in it.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` for the first rule that is broken, which its details name;
 * `VALIDATION_ERROR` for a form that is not supported
 */
export function validateRafs(image: Buffer, options: ValidateRafsOptions = {}): RafsSummary {
  const { reader = "kernel" } = options;
  const header = readRafsHeader(image);
  if (reader === "kernel") checkMapping(header, image.length);
  checkRoot(header, image);
  const chunks = checkChunkTable(header, image);
  return { ...checkTree(header, image), chunks };
}

function checkMapping({ devices }: RafsHeader, size: number): void {
  let free = size / blockSize;
  for (const [slot, device] of devices.entries()) {
    if (device.mappedBlock < free) {
      throw rafsFault("device-mapping", `device ${slot} is mapped onto what lies before it`);
    }
    free = device.mappedBlock + device.blocks;
  }
}

function checkRoot({ superblock }: RafsHeader, image: Buffer): void {
  const { metaBlock, rootNid } = superblock;
  const root = decodeInode(image, metaBlock * blockSize + rootNid * inodeSlotSize);
  if (root.kind !== "directory") throw rafsFault("root-nid", "its root is no directory");
}

/** Entries must lie in their blobs, and be sorted by digest, then blob. */
function checkChunkTable({ extended, blobs }: RafsHeader, image: Buffer): number {
  const { chunkTableOffset, chunkTableSize, chunkSize } = extended;
  const count = chunkTableSize / chunkEntrySize;
  let previous: { digest: Buffer; blobIndex: number } | undefined;
  for (let position = 0; position < count; position += 1) {
    const entry = decodeChunkEntry(image, chunkTableOffset + position * chunkEntrySize);
    const blob = blobs[entry.blobIndex];
    if (blob === undefined) {
      throw rafsFault(
        "chunk-blob",
        `entry ${position} of the chunk table is in blob ${entry.blobIndex}`,
      );
    }
    const { size, offset, storedOffset, storedSize } = entry;
    const fits =
      size > 0 &&
      size <= chunkSize &&
      offset % blockSize === 0 &&
      offset + size <= blob.uncompressedSize;
    const isStored = storedSize > 0 && storedOffset + storedSize <= blob.compressedSize;
    if (
      !fits ||
      !isStored ||
      entry.index >= blob.chunkCount ||
      (!entry.compressed && storedSize !== size)
    ) {
      throw rafsFault(
        "chunk-entry",
        `entry ${position} of the chunk table lies outside of its blob`,
      );
    }
    if (previous !== undefined) {
      const order = previous.digest.compare(entry.digest);
      if (order > 0 || (order === 0 && previous.blobIndex > entry.blobIndex)) {
        throw rafsFault("chunk-order", `entry ${position} of the chunk table is out of order`);
      }
    }
    previous = entry;
  }
  return count;
}

/** Counts what is read, so that structures that overlap cannot make the walk longer than the image is. */
interface Budget {
  names: number;
  chunks: number;
}

function checkTree(header: RafsHeader, image: Buffer): Omit<RafsSummary, "chunks"> {
  const filesystem = openBootstrap(image);
  const budget: Budget = { names: image.length / 12, chunks: image.length / 8 };
  const links = new Map<number, number>();
  const directories = new Set<number>([filesystem.rootNid]);
  const queue: { nid: number; parent: number }[] = [
    { nid: filesystem.rootNid, parent: filesystem.rootNid },
  ];
  let fileBytes = 0;
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const { nid, parent } = next;
    filesystem.xattrs(nid);
    let subdirectories = 0;
    for (const entry of checkedNames({ header, image, nid, parent, budget })) {
      const stat = filesystem.stat(entry.nid);
      if (entry.kind !== undefined && entry.kind !== stat.kind) {
        throw rafsFault(
          "directory-entry-type",
          `inode ${entry.nid} is a ${stat.kind} and listed as a ${entry.kind}`,
        );
      }
      if (stat.kind === "directory") {
        if (directories.has(entry.nid)) {
          throw rafsFault("directory-loop", `directory ${entry.nid} has two parents`);
        }
        directories.add(entry.nid);
        subdirectories += 1;
        queue.push({ nid: entry.nid, parent: nid });
        continue;
      }
      const seen = links.get(entry.nid) ?? 0;
      links.set(entry.nid, seen + 1);
      if (seen > 0) continue;
      checkLeaf(filesystem, entry.nid, budget);
      if (stat.kind === "file") fileBytes += stat.size;
    }
    checkLinks(filesystem, nid, subdirectories + 2);
  }
  for (const [nid, count] of links) checkLinks(filesystem, nid, count);
  const chunkRefs = image.length / 8 - budget.chunks;
  return {
    inodes: links.size + directories.size,
    directories: directories.size,
    fileBytes,
    chunkRefs,
  };
}

interface DirectoryCheck {
  readonly header: RafsHeader;
  readonly image: Buffer;
  readonly nid: number;
  readonly parent: number;
  readonly budget: Budget;
}

/** The names of a directory but `.` and `..`, which must be there and lead where they should. */
function* checkedNames({ header, image, nid, parent, budget }: DirectoryCheck): Generator<{
  nid: number;
  kind: string | undefined;
}> {
  const reader = metadataReader(image, header.superblock);
  const dots = new Map<string, number>();
  for (const entry of reader.directory(reader.inode(nid)).names()) {
    budget.names -= 1;
    if (budget.names < 0) throw rafsFault("directory-size", "directories share their names");
    if (entry.name === "." || entry.name === "..") dots.set(entry.name, entry.nid);
    else yield entry;
  }
  if (dots.get(".") !== nid || dots.get("..") !== parent) {
    throw rafsFault("directory-dots", `directory ${nid} does not lead to itself and its parent`);
  }
}

function checkLeaf(filesystem: RafsFilesystem, nid: number, budget: Budget): void {
  const { kind, size } = filesystem.stat(nid);
  filesystem.xattrs(nid);
  if (kind === "symlink") filesystem.linkTarget(nid);
  if (kind !== "file") return;
  const count = Math.ceil(size / filesystem.chunkSize);
  for (let number = 0; number < count; number += 1) {
    budget.chunks -= 1;
    if (budget.chunks < 0) throw rafsFault("chunk-range", "files share their chunk indexes");
    const { digest, index } = filesystem.chunk(nid, number);
    if (digest.length === 0)
      throw rafsFault("chunk-missing", `the chunk table does not list chunk ${index}`);
  }
}

function checkLinks(filesystem: RafsFilesystem, nid: number, expected: number): void {
  const { nlink } = filesystem.stat(nid);
  if (nlink !== expected) {
    throw rafsFault("link-count", `inode ${nid} counts ${nlink} links and has ${expected}`);
  }
}
