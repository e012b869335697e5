import { LongshoreError } from "@longshore/core";
import type { FilesystemSource } from "../../src/fuse/filesystem-source.ts";
import type { FileStat, ReadableFilesystem } from "../../src/rafs/readable-filesystem.ts";
import type { DirectoryInode, Inode } from "../../src/tree/inode.ts";

/** A tree, as it can be sent to a thread. */
export interface MemoryImage {
  readonly root: DirectoryInode;
  readonly chunkSize: number;
  /** Looking for this name breaks the thread */
  readonly crashAt?: string;
}

export function memorySource(image: MemoryImage): FilesystemSource {
  return { module: import.meta.url, function: "memoryFilesystem", input: image };
}

/** Metadata of a tree in memory. Numbers go by the order of a walk, so each thread comes to the same. */
export function memoryFilesystem({ root, chunkSize, crashAt }: MemoryImage): ReadableFilesystem {
  const inodes: Inode[] = [];
  const nids = new Map<Inode, number>();
  const names = new Map<number, number>();
  const parents = new Map<number, number>();
  const visit = (inode: Inode, parent: number): void => {
    const known = nids.get(inode);
    const nid = known ?? inodes.length + 40;
    names.set(nid, (names.get(nid) ?? 0) + 1);
    if (known !== undefined) return;
    inodes.push(inode);
    nids.set(inode, nid);
    if (inode.kind !== "directory") return;
    parents.set(nid, parent);
    for (const child of inode.children.values()) visit(child, nid);
  };
  visit(root, 40);

  const get = (nid: number): Inode => {
    const inode = inodes[nid - 40];
    if (inode === undefined) throw new LongshoreError("NOT_FOUND", `no inode ${nid}`);
    return inode;
  };
  const directory = (nid: number): DirectoryInode => {
    const inode = get(nid);
    if (inode.kind !== "directory") throw new LongshoreError("NOT_FOUND", `no directory ${nid}`);
    return inode;
  };
  const nidOf = (inode: Inode): number => nids.get(inode) ?? 0;
  const sorted = new Map<number, [string, Inode][]>();
  const listing = (nid: number): [string, Inode][] => {
    const list =
      sorted.get(nid) ?? [...directory(nid).children].toSorted(([a], [b]) => (a < b ? -1 : 1));
    sorted.set(nid, list);
    return list;
  };

  return {
    rootNid: 40,
    chunkSize,
    blobs: [],
    inodeCount: inodes.length,
    stat(nid): FileStat {
      const inode = get(nid);
      const size =
        inode.kind === "file" ? inode.size : inode.kind === "symlink" ? inode.target.length : 0;
      const nlink =
        inode.kind === "directory"
          ? 2 + [...inode.children.values()].filter(({ kind }) => kind === "directory").length
          : (names.get(nid) ?? 1);
      const { kind, mode, uid, gid, mtime } = inode;
      const device = "device" in inode ? inode.device : undefined;
      return { nid, kind, mode, nlink, uid, gid, size, mtime, device };
    },
    *entries(nid, after) {
      for (const [name, inode] of listing(nid)) {
        if (after === undefined || name > after)
          yield { name, nid: nidOf(inode), kind: inode.kind };
      }
    },
    lookup(nid, name) {
      if (name === crashAt) process.exit(3);
      const inode = directory(nid).children.get(name);
      return inode && { name, nid: nidOf(inode), kind: inode.kind };
    },
    parent: (nid) => parents.get(nid) ?? 40,
    linkTarget(nid) {
      const inode = get(nid);
      if (inode.kind !== "symlink") throw new LongshoreError("NOT_FOUND", `no link ${nid}`);
      return inode.target;
    },
    xattrs: (nid) =>
      // Buffers become plain arrays on their way to a thread.
      new Map([...get(nid).xattrs].map(([name, value]) => [name, Buffer.from(value)])),
    chunk(nid, number) {
      const inode = get(nid);
      const chunk = inode.kind === "file" ? inode.chunks[number] : undefined;
      if (chunk === undefined) throw new LongshoreError("IMAGE_CHECKSUM_MISMATCH", "no such chunk");
      return chunk;
    },
  };
}
