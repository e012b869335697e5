import { alignUp } from "../erofs/align-up.ts";
import { chunkFormat, chunkIndexSize, encodeChunkIndex } from "../erofs/chunk-index.ts";
import { directoryBlocks, type DirectoryTarget } from "../erofs/directory-blocks.ts";
import { encodeDevice } from "../erofs/file-type.ts";
import { encodeXattrs, xattrUnits } from "../erofs/inline-xattrs.ts";
import { encodeInode, extendedInodeSize, type InodeRecord } from "../erofs/inode-record.ts";
import { blockSize, inodeSlotSize } from "../erofs/superblock.ts";
import type { FileTree } from "../tree/file-tree.ts";
import { fromByteString, type SymlinkInode } from "../tree/inode.ts";
import type { TreeFile, TreeInode } from "../tree/tree-inode.ts";
import {
  namesWithDots,
  type BootstrapLayout,
  type DataPlan,
  type DirectoryPlan,
} from "./bootstrap-layout.ts";
import type { ChunkCollector } from "./chunk-collector.ts";
import type { PagedWriter } from "./paged-writer.ts";

/** What {@link writeMetadata} works on. */
export interface MetadataParts {
  readonly writer: PagedWriter;
  readonly tree: FileTree;
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
  const { writer, tree, layout, chunks, chunkSize, metaOffset, signal } = parts;
  const { nids, links, outlyingSymlinks } = layout;
  const dataBlock = alignUp(metaOffset + layout.inodesEnd, blockSize) / blockSize;

  const flushIfFull = async (): Promise<void> => {
    if (!writer.isFull) return;
    signal?.throwIfAborted();
    await writer.flush();
  };

  /** Writes an inode with what stands behind it. */
  const put = (number: number, inode: TreeInode, facts: InodeFacts): void => {
    const nid = nids[number] ?? 0;
    writer.padTo(metaOffset + nid * inodeSlotSize);
    const xattrs = encodeXattrs(inode.xattrs);
    const { kind, mode, uid, gid, mtime } = inode;
    const { layout: dataLayout, size, detail } = facts;
    encodeInode(writer.reserve(extendedInodeSize), 0, {
      layout: dataLayout,
      xattrUnits: xattrUnits(xattrs.length),
      kind,
      mode,
      uid,
      gid,
      mtime,
      nlink: facts.nlink ?? links.get(number) ?? 1,
      size,
      detail,
      ino: nid,
    });
    xattrs.copy(writer.reserve(xattrs.length));
  };

  const putWithData = (number: number, inode: TreeInode, facts: DataFacts): void => {
    const { nlink, size, data, tail } = facts;
    put(number, inode, {
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
    const { size, data, inode } = plan;
    const nlink = 2 + plan.subdirectories;
    putWithData(inode, tree.getInode(inode), { nlink, size, data, tail });
  };

  const putFile = (number: number, file: TreeFile): void => {
    put(number, file, { layout: "chunked", size: file.size, detail: chunkFormat(chunkSize) });
    writer.padTo(alignUp(writer.position, chunkIndexSize));
    const indexes = writer.reserve(file.chunks.length * chunkIndexSize);
    for (const [position, chunk] of file.chunks.entries()) {
      const index = tree.chunks.index(chunk);
      encodeChunkIndex(indexes, position * chunkIndexSize, {
        // A kernel sees 16 ignored bits and a device number whose upper byte it masks away.
        high: index & 0xffff,
        device: (chunks.blobIndex(chunk) + 1) | ((index >>> 16) << 8),
        block: tree.chunks.block(chunk),
      });
    }
  };

  const putSymlink = (number: number, link: SymlinkInode): void => {
    const tail = fromByteString(link.target);
    const data = outlyingSymlinks.get(number) ?? { isInline: true, firstBlock: 0 };
    putWithData(number, link, { size: tail.length, data, tail });
  };

  const putLeaf = (number: number): void => {
    const inode = tree.getInode(number);
    if (inode.kind === "file") return putFile(number, inode);
    if (inode.kind === "symlink") return putSymlink(number, inode);
    const detail = "device" in inode ? encodeDevice(inode.device) : 0;
    return put(number, inode, { layout: "plain", size: 0, detail });
  };

  const blocksOf = (plan: DirectoryPlan): Generator<Buffer, void> =>
    directoryBlocks(targetsOf(plan));

  function* targetsOf(plan: DirectoryPlan): Generator<DirectoryTarget, void> {
    const names = layout.names.subarray(plan.firstName, plan.endName);
    let next = 0;
    for (const name of namesWithDots(tree, names)) {
      if (name === "." || name === "..") {
        const inode = name === "." ? plan.inode : (plan.parent?.inode ?? plan.inode);
        yield { name, nid: nids[inode] ?? 0, kind: "directory" };
      } else {
        const inode = tree.inodeOf(names[next] ?? 0) ?? 0;
        next += 1;
        yield { name, nid: nids[inode] ?? 0, kind: tree.kindOf(inode) };
      }
    }
  }

  // The same walk as that of the layout: inodes come in the order of their places.
  const [rootPlan] = layout.directories;
  if (rootPlan !== undefined) putDirectory(rootPlan);
  let nextDirectory = 1;
  for (const { firstName, endName } of layout.directories) {
    for (let at = firstName; at < endName; at += 1) {
      const child = tree.inodeOf(layout.names[at] ?? 0) ?? 0;
      if (tree.kindOf(child) === "directory") {
        const plan = layout.directories[nextDirectory];
        nextDirectory += 1;
        if (plan !== undefined) putDirectory(plan);
      } else if (writer.position <= metaOffset + (nids[child] ?? 0) * inodeSlotSize) {
        // A further name of an inode that is written already finds it behind the writer.
        putLeaf(child);
      }
      await flushIfFull();
    }
  }

  writer.padTo(dataBlock * blockSize);
  for (const item of layout.outlying) {
    if (typeof item === "number") {
      const link = tree.getInode(item);
      const target = fromByteString(link.kind === "symlink" ? link.target : "");
      target.copy(writer.reserve(target.length));
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

interface InodeFacts extends Pick<InodeRecord, "layout" | "size" | "detail"> {
  /** @default the number of its names */
  readonly nlink?: number | undefined;
}

interface DataFacts extends Pick<InodeFacts, "nlink" | "size"> {
  readonly data: DataPlan;
  /** The last, short block, which stands behind the inode when the plan says so */
  readonly tail: Buffer;
}
