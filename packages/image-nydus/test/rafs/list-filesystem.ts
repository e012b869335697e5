import { createHash } from "node:crypto";
import { readBlobMeta } from "../../src/rafs/blob-meta.ts";
import { decodeChunk } from "../../src/rafs/decode-chunk.ts";
import type { FileStat, ReadableFilesystem } from "../../src/rafs/readable-filesystem.ts";
import type { ByteString } from "../../src/tree/inode.ts";
import { toListing, type FileListing, type ListedFile } from "../tree/file-listing.ts";

/** Lists an image with content, each chunk found in its blob by the blob's own table, decoded and checked. */
export async function listFilesystem(
  filesystem: ReadableFilesystem,
  blobBytes: readonly Buffer[],
): Promise<FileListing> {
  const metas = filesystem.blobs.map((blob, index) => {
    const { offset, compressedSize } = blob.chunkTable;
    const bytes = blobBytes[index]?.subarray(offset, offset + compressedSize + 4096);
    return readBlobMeta(bytes ?? Buffer.alloc(0), { blob });
  });
  const files: (ListedFile & { readonly inode: number })[] = [];
  const queue: { path: ByteString; nid: number }[] = [{ path: ".", nid: filesystem.rootNid }];
  for (const { path, nid } of queue) {
    files.push(await describeFile(path, nid));
    if (filesystem.stat(nid).kind !== "directory") continue;
    for (const entry of filesystem.entries(nid)) {
      queue.push({ path: path === "." ? entry.name : `${path}/${entry.name}`, nid: entry.nid });
    }
  }
  return toListing(files);

  async function describeFile(
    path: ByteString,
    nid: number,
  ): Promise<ListedFile & { readonly inode: number }> {
    const stat = filesystem.stat(nid);
    const { kind, uid, gid, size, mtime, device } = stat;
    const names = [...filesystem.xattrs(nid)].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return {
      path,
      inode: nid,
      kind,
      mode: stat.mode.toString(8).padStart(4, "0"),
      uid,
      gid,
      size: kind === "file" ? size : 0,
      mtime: `${mtime.seconds}.${String(mtime.nanoseconds).padStart(9, "0")}`,
      xattrs: Object.fromEntries(names.map(([name, value]) => [name, value.toString("hex")])),
      ...(kind === "symlink" ? { target: filesystem.linkTarget(nid) } : {}),
      ...(device === undefined ? {} : { device: `${device.major}:${device.minor}` }),
      ...(kind === "file" ? { sha256: await digestFile(stat) } : {}),
    };
  }

  async function digestFile({ nid, size }: FileStat): Promise<string> {
    const hash = createHash("sha256");
    for (let number = 0; number < Math.ceil(size / filesystem.chunkSize); number += 1) {
      const { blobId, index, offset, digest } = filesystem.chunk(nid, number);
      const blobIndex = filesystem.blobs.findIndex(({ id }) => id === blobId);
      const [blob, meta] = [filesystem.blobs[blobIndex], metas[blobIndex]];
      const stored = meta?.find(offset);
      if (blob === undefined || stored === undefined || stored.index !== index) {
        throw new Error(`chunk ${index} of blob ${blobId} cannot be found by its offset`);
      }
      const end = stored.storedOffset + stored.storedSize;
      const bytes = blobBytes[blobIndex]?.subarray(stored.storedOffset, end) ?? Buffer.alloc(0);
      hash.update(await decodeChunk(bytes, { ...blob, chunk: stored, digest }));
    }
    return hash.digest("hex");
  }
}
