// Writes an image of that many small files, a million unless said otherwise, and tells the memory it took; run by a test, in a process of its own.
import { createHash } from "node:crypto";
import { open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileSink } from "../../src/rafs/byte-sink.ts";
import { validateRafs } from "../../src/rafs/validate-rafs.ts";
import { writeBootstrap } from "../../src/rafs/write-bootstrap.ts";
import type { ChunkRef, DirectoryInode, Inode } from "../../src/tree/inode.ts";

const filesInFolder = 1000;
const folders = Number(process.argv[2] ?? 1_000_000) / filesInFolder;
const count = folders * filesInFolder;
const path = join(tmpdir(), `longshore-million-${process.pid}`);
const id = createHash("sha256").update("blob").digest("hex");
const xattrs = new Map<string, Buffer>();
const mtime = { seconds: 1, nanoseconds: 0 };
// One slab, so that a million digests do not cost a buffer's overhead in bytes each.
const digests = Buffer.alloc(count * 32);

function folder(children: Map<string, Inode>): DirectoryInode {
  return { kind: "directory", mode: 0o755, uid: 0, gid: 0, mtime, xattrs, children };
}

function tree(): DirectoryInode {
  const root = new Map<string, Inode>();
  for (let outer = 0; outer < folders; outer += 1) {
    const children = new Map<string, Inode>();
    for (let inner = 0; inner < filesInFolder; inner += 1) {
      const index = outer * filesInFolder + inner;
      const digest = digests.subarray(index * 32, index * 32 + 32);
      digest.writeUInt32BE((index * 2_654_435_761) >>> 0);
      digest.writeUInt32BE(index, 8);
      const chunk: ChunkRef = { blobId: id, index, offset: index * 4096, size: 5, digest };
      const file = {
        kind: "file",
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime,
        xattrs,
        size: 5,
        chunks: [chunk],
      } as const;
      children.set(`file-${inner}`, file);
    }
    root.set(`folder-${outer}`, folder(children));
  }
  return folder(root);
}

const megabytes = (bytes: number): number => Math.round(bytes / 1_048_576);

const root = tree();
globalThis.gc?.();
const treeMb = megabytes(process.memoryUsage.rss());
let peak = 0;
const handle = await open(path, "w");
const sink = fileSink(handle);
const started = performance.now();
const blob = {
  id,
  uncompressedSize: count * 4096,
  compressedSize: count * 4096 + count * 16 + 4096,
  chunkCount: count,
  compressor: "none",
  digester: "sha256",
  features: 0x4000_0001,
  chunkTable: {
    offset: count * 4096,
    compressedSize: count * 16,
    uncompressedSize: count * 16,
    compressor: "none",
  },
} as const;
try {
  const written = await writeBootstrap(
    {
      async write(bytes) {
        peak = Math.max(peak, process.memoryUsage.rss());
        await sink.write(bytes);
      },
    },
    { root, blobs: [blob] },
  );
  const writeMs = Math.round(performance.now() - started);
  await handle.close();
  const { inodes, chunks } = validateRafs(await readFile(path));
  process.stdout.write(
    JSON.stringify({
      inodes,
      chunks,
      size: written.size,
      treeMb,
      peakMb: megabytes(peak),
      writeMs,
    }),
  );
} finally {
  await rm(path, { force: true });
}
