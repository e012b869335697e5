import { dirname, resolve } from "node:path";
import { diskError } from "./disk-error.ts";
import { abortable, rawDisk, type DiskReader } from "./disk-reader.ts";
import { openImageFile, type ImageFile } from "./image-file.ts";
import { qcow2Disk } from "./qcow2-disk.ts";
import { isQcow2, readQcow2Header } from "./qcow2-header.ts";

export type DiskFormat = "raw" | "qcow2";

/** A disk whose image files are open. */
export interface OpenDisk extends AsyncDisposable {
  readonly format: DiskFormat;
  readonly disk: DiskReader;
  /** The image itself */
  readonly file: ImageFile;
  /** Images underneath it, nearest first */
  readonly backingFiles: readonly string[];
}

export interface OpenDiskOptions {
  /** Directories outside of which nothing is read, backing files included */
  readonly roots: readonly string[];
  /** Detected when absent */
  readonly format?: DiskFormat | undefined;
  readonly signal: AbortSignal;
}

const maxChain = 16;
/** A word and a colon: another way than a file to get at data */
const protocolName = /^[a-z][a-z0-9+.-]*:/i;

/**
 * Opens an image and all that it is built on, read-only.
 *
 * @throws {LongshoreError} as `openImageFile`, and `DISK_UNREADABLE`
 */
export async function openDisk(path: string, options: OpenDiskOptions): Promise<OpenDisk> {
  const files: ImageFile[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(files.map((file) => file[Symbol.asyncDispose]()));
  };
  try {
    const { disk, format, file } = await openLink(path, options, files);
    return {
      format,
      disk: abortable(disk, options.signal),
      file,
      backingFiles: files.slice(1).map((one) => one.path),
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Link {
  readonly disk: DiskReader;
  readonly format: DiskFormat;
  readonly file: ImageFile;
}

async function openLink(path: string, options: OpenDiskOptions, files: ImageFile[]): Promise<Link> {
  options.signal.throwIfAborted();
  if (files.length >= maxChain)
    throw diskError(`More than ${maxChain} images build on each other.`);
  const file = await openImageFile(path, options.roots);
  files.push(file);
  const bytes = rawDisk(file.handle, file.size);
  const format = options.format ?? (await detectFormat(bytes));
  if (format === "raw") return { disk: bytes, format, file };
  const header = await readQcow2Header(bytes);
  const backing = await openBacking(header, { ...options, above: file.path }, files);
  return { disk: await qcow2Disk(bytes, header, backing), format, file };
}

async function detectFormat(bytes: DiskReader): Promise<DiskFormat> {
  return isQcow2(await bytes.read(0, Math.min(4, bytes.size))) ? "qcow2" : "raw";
}

/** The backing file's name comes out of the image, so it is as trustworthy as the image. */
async function openBacking(
  {
    backingFile,
    backingFormat,
  }: { backingFile?: string | undefined; backingFormat?: string | undefined },
  { above, ...options }: OpenDiskOptions & { readonly above: string },
  files: ImageFile[],
): Promise<DiskReader | undefined> {
  if (backingFile === undefined) return undefined;
  if (protocolName.test(backingFile) || backingFile.includes("\0")) {
    throw diskError("The image builds on something that is not a file.");
  }
  const format = backingFormat === "raw" || backingFormat === "qcow2" ? backingFormat : undefined;
  if (backingFormat !== undefined && format === undefined) {
    throw diskError(`The image builds on one of format "${backingFormat.slice(0, 50)}".`);
  }
  const path = resolve(dirname(above), backingFile);
  return (await openLink(path, { ...options, format }, files)).disk;
}
