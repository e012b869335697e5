import { constants } from "node:fs";
import { mkdtemp, open, rm, type FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Abortable } from "@longshore/core";
import { hasCode } from "@longshore/core/errors";
import { layerDecompressor, sniffCompression } from "../layer-decompressor.ts";
import { imageNotFound, invalid } from "../registry-errors.ts";
import { readFileRange } from "./file-range.ts";
import type { LayoutFiles } from "./layout-files.ts";
import { indexTar, type TarIndexEntry } from "./tar-index.ts";

export interface ArchiveOptions extends Abortable {
  /** Where a compressed archive is unpacked to for the time it is open. @default the system's */
  readonly temporaryDirectory?: string | undefined;
}

const minUnpackedBytes = 1_024 * 1_024 * 1_024;
const maxRatio = 100;

/**
 * The files of a tar archive. It is read in place; a compressed one (gzip or zstd) is unpacked to a nameless temporary
 * file first, of 1 GiB or 100 times its size at most.
 */
export async function archiveFiles(
  path: string,
  options: ArchiveOptions = {},
): Promise<LayoutFiles> {
  const handle = await openArchive(path, options);
  try {
    const entries = await indexTar(handle, options);
    return {
      name: path,
      async size(name) {
        return findFile(entries, name)?.size;
      },
      async *read(name, range, readOptions) {
        const file = findFile(entries, name);
        if (file === undefined) throw imageNotFound(`${path} has no file ${name}.`);
        const start = file.offset + range.start;
        const end = file.offset + Math.min(range.end, file.size);
        yield* readFileRange(handle, { start, end }, readOptions);
      },
      async [Symbol.asyncDispose]() {
        await handle.close();
      },
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** A regular file; a link is followed once, as `docker save` makes them for layers that occur twice. */
function findFile(
  entries: ReadonlyMap<string, TarIndexEntry>,
  name: string,
): Extract<TarIndexEntry, { kind: "file" }> | undefined {
  const found = entries.get(name);
  const file = found?.kind === "link" ? entries.get(found.target) : found;
  return file?.kind === "file" ? file : undefined;
}

async function openArchive(path: string, options: ArchiveOptions): Promise<FileHandle> {
  const handle = await openRegular(path);
  try {
    const head = Buffer.alloc(262);
    const { bytesRead } = await handle.read(head, 0, head.length, 0);
    const isPlain = sniffCompression(head.subarray(0, bytesRead)) === "none";
    if (isPlain) return handle;
    const unpacked = await unpack(handle, options);
    await handle.close();
    return unpacked;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function openRegular(path: string): Promise<FileHandle> {
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const isMissing = hasCode(error, "ENOENT");
    throw isMissing ? imageNotFound(`There is no archive ${path}.`, { cause: error }) : error;
  }
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  throw invalid("archive", `${path} is not a file`);
}

async function unpack(handle: FileHandle, options: ArchiveOptions): Promise<FileHandle> {
  const { size } = await handle.stat();
  const directory = await mkdtemp(join(options.temporaryDirectory ?? tmpdir(), "longshore-image-"));
  let target: FileHandle;
  try {
    target = await open(join(directory, "archive.tar"), "wx+", 0o600);
  } finally {
    // Open files live on without their name: nothing stays, however this process ends.
    await rm(directory, { recursive: true, force: true });
  }
  try {
    const maxBytes = Math.max(minUnpackedBytes, size * maxRatio);
    const packed = readFileRange(handle, { start: 0, end: size }, options);
    for await (const piece of layerDecompressor("", { maxBytes })(packed)) {
      await target.writeFile(piece);
    }
    return target;
  } catch (error) {
    await target.close();
    throw error;
  }
}
