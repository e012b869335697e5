import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { LongshoreError } from "@longshore/core/errors";
import {
  bitmapSize,
  chunkMapSize,
  decodeChunkMap,
  encodeChunkMapHeader,
  type ChunkMap,
} from "./chunk-map.ts";
import type { LazyFiles } from "./lazy-files.ts";

/** The open files of a partly fetched blob, and what its map said when they were opened. */
export interface ChunkFiles {
  readonly data: FileHandle;
  readonly map: FileHandle;
  readonly state: ChunkMap;
}

export interface ChunkFilesOptions {
  /** Bytes of the data file */
  readonly size: number;
  readonly chunkCount: number;
}

/**
 * Opens the data and the map of a blob, or makes them. A map that cannot be right, of another size or without its data, is
 * begun anew.
 *
 * Several processes may have them open. Nothing is replaced or cut for that reason: the worst that one does to another is
 * to forget a chunk, which is then fetched again.
 */
export async function openChunkFiles(
  files: LazyFiles,
  options: ChunkFilesOptions,
): Promise<ChunkFiles> {
  const data = await openRegular(files.data);
  try {
    const map = await openRegular(files.map);
    try {
      return { data, map, state: await prepare({ data, map }, options) };
    } catch (error) {
      await map.close();
      throw error;
    }
  } catch (error) {
    await data.close();
    throw error;
  }
}

async function prepare(
  { data, map }: Pick<ChunkFiles, "data" | "map">,
  { size, chunkCount }: ChunkFilesOptions,
): Promise<ChunkMap> {
  const { size: dataSize } = await data.stat();
  const { size: mapSize } = await map.stat();
  if (dataSize >= size && mapSize === chunkMapSize(chunkCount)) {
    const state = decodeChunkMap(await readWhole(map, mapSize), chunkCount);
    if (state !== undefined) {
      if (dataSize > size) await data.truncate(size);
      return state;
    }
  }
  // The old map must be gone from the disk before there is a data file that it could be taken for the map of.
  await map.truncate(0);
  await map.datasync();
  if (dataSize !== size) await data.truncate(size);
  await data.sync();
  const bits = Buffer.alloc(bitmapSize(chunkCount));
  // Written out, not as a hole: a full disk must not keep what is there from being marked.
  await map.appendFile(Buffer.concat([encodeChunkMapHeader(), bits]));
  return { bits, isAllReady: false };
}

async function openRegular(path: string): Promise<FileHandle> {
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  const handle = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600).catch(
    (cause: unknown) => {
      throw new LongshoreError("IO_ERROR", `${path} cannot be opened.`, {
        cause,
        details: { path },
      });
    },
  );
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  throw new LongshoreError("IO_ERROR", `${path} is in the way: it is no regular file.`, {
    details: { path },
  });
}

async function readWhole(file: FileHandle, size: number): Promise<Buffer> {
  const bytes = Buffer.alloc(size);
  let done = 0;
  while (done < size) {
    const { bytesRead } = await file.read(bytes, done, size - done, done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return bytes;
}
