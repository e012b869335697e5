import { mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import type { Abortable, RootfsIdMappings } from "@longshore/core";
import { hasCode, LongshoreError } from "@longshore/core/errors";
import PQueue from "p-queue";
import type { FileStat, ReadableFilesystem } from "../rafs/readable-filesystem.ts";
import { fromByteString, type ByteString, type FileKind } from "../tree/inode.ts";
import { attributeWriter, type AttributeWriter } from "./attribute-writer.ts";
import type { BlobReader } from "./blob-reader.ts";
import { copyFile } from "./copy-file.ts";
import { checkIdMappings } from "./id-mappings.ts";
import { refuseUnmapped } from "./refuse-unmapped.ts";
import { removeTree } from "./remove-tree.ts";
import { ownerShift } from "./shift-owner.ts";

export interface ExtractTreeOptions extends Abortable {
  /** Where the files go; is made, and must not exist before. Nobody else may be able to write in its parent. */
  readonly directory: string;
  /** Whether owners, device nodes and privileged attributes are made, too. @default whether this process is root */
  readonly asRoot?: boolean | undefined;
  /** Whom the files are given to, for a user namespace; needs root. @default whom they belong to in the image */
  readonly idMappings?: RootfsIdMappings | undefined;
}

/** What was made, and what could not be without root. */
export interface ExtractReport {
  readonly directories: number;
  /** Entries of all other kinds; each name of a hard-linked file counts */
  readonly files: number;
  /** Bytes of file content, holes included */
  readonly bytes: number;
  readonly omitted: {
    /** Entries whose owner would be somebody else */
    readonly owners: number;
    readonly devices: number;
    /** Attributes that only root may set, or that this kind of file cannot have here */
    readonly xattrs: number;
  };
}

const filesAtOnce = 4;
const filesWaiting = 64;
/** Longest path that the kernel takes, without its final zero byte */
const maxPathBytes = 4_095;

const nodeTypes: Partial<Record<FileKind, number>> = {
  fifo: 0o010000,
  "character-device": 0o020000,
  "block-device": 0o060000,
  socket: 0o140000,
};

/**
 * Copies the files of an image into a new directory, with all their attributes; without root, with those that it may set.
 *
 * Whatever is in the image, nothing outside the directory is touched: every entry is made anew in a directory that was made
 * before, and no link is ever followed. When it rejects or is aborted, the directory is gone again.
 *
 * @throws {LongshoreError} `STATE_CONFLICT` when the directory exists; `IMAGE_CHECKSUM_MISMATCH` for a tree that cannot be
 *   one; `LIMIT_EXCEEDED` for a path the kernel would not take; `VALIDATION_ERROR` for id mappings that are none, or leave
 *   out whom a file belongs to; `RUNTIME_NOT_SUPPORTED` for id mappings without root; `IO_ERROR`; what the reader throws
 */
export async function extractTree(
  filesystem: ReadableFilesystem,
  blobs: BlobReader,
  options: ExtractTreeOptions,
): Promise<ExtractReport> {
  const { signal, asRoot = process.getuid?.() === 0 } = options;
  signal?.throwIfAborted();
  const { idMappings } = options;
  if (idMappings !== undefined) checkIdMappings(idMappings);
  if (idMappings !== undefined && !asRoot) {
    throw new LongshoreError("RUNTIME_NOT_SUPPORTED", "Giving files to others needs root.");
  }
  const directory = resolve(options.directory);
  await makeRoot(directory);
  let writer: AttributeWriter | undefined;
  try {
    writer = await attributeWriter();
    const extraction = newExtraction({
      filesystem,
      blobs,
      writer,
      asRoot,
      idMappings,
      signal,
    });
    await extraction.run(Buffer.from(directory));
    return extraction.report();
  } catch (error) {
    await writer?.kill();
    await removeTree(directory);
    throw toExtractError(error);
  }
}

async function makeRoot(directory: string): Promise<void> {
  try {
    await mkdir(directory, { mode: 0o700 });
  } catch (cause) {
    const isThere = hasCode(cause, "EEXIST");
    throw new LongshoreError(
      isThere ? "STATE_CONFLICT" : "IO_ERROR",
      isThere ? `${directory} exists already.` : `${directory} cannot be made.`,
      { cause, details: { directory } },
    );
  }
}

/** The system's own errors, said in ours. */
function toExtractError(error: unknown): unknown {
  if (!(error instanceof Error && "syscall" in error && "code" in error)) return error;
  return new LongshoreError("IO_ERROR", `The image cannot be unpacked: ${error.message}`, {
    cause: error,
    details: { errno: error.code },
  });
}

interface Parts extends Abortable {
  readonly filesystem: ReadableFilesystem;
  readonly blobs: BlobReader;
  readonly writer: AttributeWriter;
  readonly asRoot: boolean;
  readonly idMappings: RootfsIdMappings | undefined;
}

interface Extraction {
  run(root: Buffer): Promise<void>;
  report(): ExtractReport;
}

function newExtraction(parts: Parts): Extraction {
  const { filesystem, blobs, writer, asRoot, idMappings, signal } = parts;
  const count = { directories: 0, files: 0, bytes: 0, owners: 0, devices: 0, xattrs: 0 };
  const queue = new PQueue({ concurrency: filesAtOnce });
  const failed = new AbortController();
  const stop = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
  const [uid, gid] = [process.getuid?.(), process.getgid?.()];

  // Finished last and from the leaves up: making an entry changes the time of its directory.
  const directories: { readonly path: Buffer; readonly nid: number }[] = [];
  const seen = new Set<number>();
  const firstNames = new Map<number, Buffer>();
  let rootLength = 0;
  const links: { readonly path: Buffer; readonly existing: Buffer }[] = [];

  const setAttributes = async (path: Buffer, stat: FileStat): Promise<void> => {
    const all = [...filesystem.xattrs(stat.nid)];
    const xattrs = all.filter(([name]) => isSettable(name, stat.kind, asRoot));
    count.xattrs += all.length - xattrs.length;
    const shift =
      idMappings &&
      ownerShift(idMappings, {
        to: "host",
        unmapped: refuseUnmapped(path.subarray(rootLength).toString() || "/"),
      });
    if (!asRoot && (stat.uid !== uid || stat.gid !== gid)) count.owners += 1;
    await writer.attributes(path, {
      isSymlink: stat.kind === "symlink",
      owner: asRoot
        ? { uid: shift?.uid(stat.uid) ?? stat.uid, gid: shift?.gid(stat.gid) ?? stat.gid }
        : undefined,
      mode: stat.mode,
      mtime: stat.mtime,
      xattrs: xattrs.map(([name, value]) => [name, shift?.xattr(name, value) ?? value] as const),
    });
  };

  const addFile = async (path: Buffer, stat: FileStat): Promise<void> => {
    await queue.onSizeLessThan(filesWaiting);
    const { nid, size } = stat;
    const copy = async (): Promise<void> => {
      if (stop.aborted) return;
      await copyFile({ filesystem, blobs }, { nid, size, path, signal: stop });
      count.bytes += size;
      await setAttributes(path, stat);
    };
    queue.add(copy).catch((error: unknown) => {
      failed.abort(error);
    });
  };

  const addEntry = async (path: Buffer, stat: FileStat): Promise<void> => {
    const existing = stat.nlink > 1 ? firstNames.get(stat.nid) : undefined;
    count.files += 1;
    if (existing !== undefined) {
      links.push({ path, existing });
      return;
    }
    if (stat.kind === "file") await addFile(path, stat);
    else if (stat.kind === "symlink") {
      await writer.symlink(path, filesystem.linkTarget(stat.nid));
      await setAttributes(path, stat);
    } else {
      const isDevice = stat.kind !== "fifo" && stat.kind !== "socket";
      if (isDevice && !asRoot) {
        count.files -= 1;
        count.devices += 1;
        return;
      }
      const mode = (nodeTypes[stat.kind] ?? 0) | 0o600;
      await writer.node(path, mode, stat.device ?? { major: 0, minor: 0 });
      await setAttributes(path, stat);
    }
    if (stat.nlink > 1) firstNames.set(stat.nid, path);
  };

  const addDirectory = (path: Buffer, nid: number): void => {
    if (seen.has(nid)) throw wrongTree("A directory has two places in the tree.", path);
    seen.add(nid);
    directories.push({ path, nid });
    count.directories += 1;
  };

  return {
    async run(root) {
      rootLength = root.length;
      addDirectory(root, filesystem.rootNid);
      try {
        // Grows while it is walked: parents come before what is in them.
        for (const { path: parent, nid } of directories) {
          let last: ByteString | undefined;
          for (const entry of filesystem.entries(nid)) {
            stop.throwIfAborted();
            // In byte order, none can come twice.
            if (last !== undefined && entry.name <= last) {
              throw wrongTree("The names of a directory are out of order.", parent);
            }
            last = entry.name;
            const path = childPath(parent, entry.name);
            const stat = filesystem.stat(entry.nid);
            if (stat.kind !== "directory") await addEntry(path, stat);
            else {
              addDirectory(path, entry.nid);
              await mkdir(path, { mode: 0o700 });
            }
          }
        }
      } catch (error) {
        failed.abort(error);
        throw error;
      } finally {
        await queue.onIdle();
      }
      stop.throwIfAborted();
      for (const { path, existing } of links) await writer.hardlink(path, existing);
      for (const { path, nid } of directories.toReversed()) {
        await setAttributes(path, filesystem.stat(nid));
      }
      await writer.finish();
      signal?.throwIfAborted();
    },
    report: () => {
      const { owners, devices, xattrs, ...made } = count;
      return { ...made, omitted: { owners, devices, xattrs } };
    },
  };
}

function childPath(parent: Buffer, name: ByteString): Buffer {
  if (name === "" || name === "." || name === ".." || /[/\0]/.test(name)) {
    throw wrongTree(`${JSON.stringify(name)} cannot be the name of a file.`, parent);
  }
  const path = Buffer.concat([parent, Buffer.from("/"), fromByteString(name)]);
  if (path.length > maxPathBytes) {
    throw new LongshoreError("LIMIT_EXCEEDED", "A path of the image is too long to be made.", {
      details: { bytes: path.length, limit: maxPathBytes },
    });
  }
  return path;
}

function wrongTree(message: string, path: Buffer): LongshoreError {
  return new LongshoreError("IMAGE_CHECKSUM_MISMATCH", message, {
    details: { path: path.toString() },
  });
}

function isSettable(name: ByteString, kind: FileKind, asRoot: boolean): boolean {
  // The kernel keeps attributes of users for files and directories, whoever asks.
  if (name.startsWith("user.")) return kind === "file" || kind === "directory";
  return asRoot || name.startsWith("system.posix_acl_");
}
