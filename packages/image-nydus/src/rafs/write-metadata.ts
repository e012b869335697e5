import { alignUp } from "../erofs/align-up.ts";
import { chunkFormat, chunkIndexSize, encodeChunkIndex } from "../erofs/chunk-index.ts";
import { directoryBlocks } from "../erofs/directory-blocks.ts";
import { encodeDevice } from "../erofs/file-type.ts";
import { encodeXattrs, xattrUnits } from "../erofs/inline-xattrs.ts";
import { encodeInode, extendedInodeSize, type InodeRecord } from "../erofs/inode-record.ts";
import { blockSize, inodeSlotSize } from "../erofs/superblock.ts";
import {
  fromByteString,
  type DirectoryInode,
  type FileInode,
  type Inode,
  type SymlinkInode,
} from "../tree/inode.ts";
import {
  sortedNames,
  sortedNamesWithDots,
  type BootstrapLayout,
  type DataPlan,
  type DirectoryPlan,
} from "./bootstrap-layout.ts";
import type { ChunkCollector } from "./chunk-collector.ts";
import type { PagedWriter } from "./paged-writer.ts";

/** What {@link writeMetadata} works on. */
export interface MetadataParts {
  readonly writer: PagedWriter;
  readonly layout: BootstrapLayout;
  readonly chunks: Pick<ChunkCollector, "blobIndex">;
  readonly chunkSize: number;
  /** Where the metadata area begins, and the writer stands */
  readonly metaOffset: number;
  readonly signal?: AbortSignal | undefined;
}

const nothing = Buffer.alloc(0);

/** Writes the inodes of a tree where its layout has them, then the data that is not behind its inode. */
export async function writeMetadata(parts: MetadataParts): Promise<void> {
  const { writer, layout, chunks, chunkSize, metaOffset, signal } = parts;
  const { nids, links, outlyingSymlinks } = layout;
  const dataBlock = alignUp(metaOffset + layout.inodesEnd, blockSize) / blockSize;

  const flushIfFull = async (): Promise<void> => {
    if (!writer.isFull) return;
    signal?.throwIfAborted();
    await writer.flush();
  };

  /** Writes an inode with what stands behind it. */
  const put = (inode: Inode, facts: InodeFacts): void => {
    const nid = nids.get(inode) ?? 0;
    writer.padTo(metaOffset + nid * inodeSlotSize);
    const xattrs = encodeXattrs(inode.xattrs);
    const { kind, mode, uid, gid, mtime } = inode;
    const { layout: dataLayout, nlink, size, detail } = facts;
    encodeInode(writer.reserve(extendedInodeSize), 0, {
      layout: dataLayout,
      xattrUnits: xattrUnits(xattrs.length),
      kind,
      mode,
      uid,
      gid,
      mtime,
      nlink,
      size,
      detail,
      ino: nid,
    });
    xattrs.copy(writer.reserve(xattrs.length));
  };

  const putWithData = (inode: Inode, facts: DataFacts): void => {
    const { nlink, size, data, tail } = facts;
    put(inode, {
      layout: data.isInline ? "inline" : "plain",
      nlink,
      size,
      detail: dataBlock + data.firstBlock,
    });
    if (data.isInline) tail.copy(writer.reserve(tail.length));
  };

  const putDirectory = (plan: DirectoryPlan): void => {
    let tail: Buffer = nothing;
    if (plan.data.isInline) for (const block of blocksOf(plan)) tail = block;
    const { size, data } = plan;
    putWithData(plan.inode, { nlink: 2 + plan.subdirectories, size, data, tail });
  };

  const putFile = (file: FileInode): void => {
    const nlink = links.get(file) ?? 1;
    put(file, { layout: "chunked", nlink, size: file.size, detail: chunkFormat(chunkSize) });
    writer.padTo(alignUp(writer.position, chunkIndexSize));
    const indexes = writer.reserve(file.chunks.length * chunkIndexSize);
    for (const [number, chunk] of file.chunks.entries()) {
      encodeChunkIndex(indexes, number * chunkIndexSize, {
        // A kernel sees 16 ignored bits and a device number whose upper byte it masks away.
        high: chunk.index & 0xffff,
        device: (chunks.blobIndex(chunk) + 1) | ((chunk.index >>> 16) << 8),
        block: chunk.offset / blockSize,
      });
    }
  };

  const putSymlink = (link: SymlinkInode): void => {
    const tail = fromByteString(link.target);
    const data = outlyingSymlinks.get(link) ?? { isInline: true, firstBlock: 0 };
    putWithData(link, { nlink: links.get(link) ?? 1, size: tail.length, data, tail });
  };

  const putLeaf = (inode: Exclude<Inode, DirectoryInode>): void => {
    if (inode.kind === "file") return putFile(inode);
    if (inode.kind === "symlink") return putSymlink(inode);
    const detail = "device" in inode ? encodeDevice(inode.device) : 0;
    return put(inode, { layout: "plain", nlink: links.get(inode) ?? 1, size: 0, detail });
  };

  const blocksOf = (plan: DirectoryPlan): Generator<Buffer, void> => {
    const { inode, parent } = plan;
    return directoryBlocks(sortedNamesWithDots(inode), (name) => {
      const child =
        name === "." ? inode : name === ".." ? (parent?.inode ?? inode) : inode.children.get(name);
      return { nid: (child && nids.get(child)) ?? 0, kind: child?.kind ?? "file" };
    });
  };

  // The same walk as that of the layout: inodes come in the order of their places.
  const [rootPlan] = layout.directories;
  if (rootPlan !== undefined) putDirectory(rootPlan);
  let nextDirectory = 1;
  for (const { inode: directory } of layout.directories) {
    for (const name of sortedNames(directory)) {
      const child = directory.children.get(name);
      if (child === undefined) continue;
      if (child.kind === "directory") {
        const plan = layout.directories[nextDirectory];
        nextDirectory += 1;
        if (plan !== undefined) putDirectory(plan);
      } else if (writer.position <= metaOffset + (nids.get(child) ?? 0) * inodeSlotSize) {
        // A further name of an inode that is written already finds it behind the writer.
        putLeaf(child);
      }
      await flushIfFull();
    }
  }

  writer.padTo(dataBlock * blockSize);
  for (const item of layout.outlying) {
    if ("kind" in item) {
      fromByteString(item.target).copy(writer.reserve(item.target.length));
    } else {
      for (const block of blocksOf(item)) {
        if (block.length < blockSize && item.data.isInline) break;
        block.copy(writer.reserve(block.length));
        await flushIfFull();
      }
    }
    writer.padTo(alignUp(writer.position, blockSize));
    await flushIfFull();
  }
}

type InodeFacts = Pick<InodeRecord, "layout" | "nlink" | "size" | "detail">;

interface DataFacts extends Pick<InodeRecord, "nlink" | "size"> {
  readonly data: DataPlan;
  /** The last, short block, which stands behind the inode when the plan says so */
  readonly tail: Buffer;
}
