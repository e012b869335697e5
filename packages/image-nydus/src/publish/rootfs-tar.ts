import type { Abortable } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
import type { FileStat, ReadableFilesystem } from "../rafs/readable-filesystem.ts";
import type { TarEntryKind } from "../tar/tar-entry.ts";
import type { ByteString } from "../tree/inode.ts";
import type { ChunkSource } from "./chunk-source.ts";
import {
  encodeTarHeader,
  paddingOf,
  tarBlockSize,
  type TarEntryFields,
} from "./encode-tar-header.ts";
import { deviceOf } from "./read-tree.ts";
import { walkFilesystem } from "./walk-filesystem.ts";

export interface RootfsTarOptions extends Abortable {
  /** Told of bytes of files as they are read */
  onBytes?(count: number): void;
}

const noDevice = { major: 0, minor: 0 } as const;

/**
 * All files of an image as one layer: an uncompressed tar archive in which directories stand before what is in them, names
 * in byte order. The same image gives the same bytes. Sockets are left out, as every archiver does: they mean nothing
 * without the process that made them. A piece counts until the next one is asked for.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for a file whose name would hide another one in a layer; what reading throws
 */
export async function* rootfsTar(
  filesystem: ReadableFilesystem,
  chunks: ChunkSource,
  options: RootfsTarOptions = {},
): AsyncGenerator<Buffer, void, undefined> {
  const { signal } = options;
  for (const { path, name, stat, linkTo } of walkFilesystem(filesystem)) {
    signal?.throwIfAborted();
    if (name.startsWith(".wh.")) throw whiteoutName(path);
    if (stat.kind === "socket") continue;
    const entry = entryOf(filesystem, { path, stat, linkTo });
    yield encodeTarHeader(entry);
    if (entry.kind !== "file") continue;
    const count = Math.ceil(stat.size / filesystem.chunkSize);
    for (let number = 0; number < count; number += 1) {
      signal?.throwIfAborted();
      const { bytes } = await chunks.read(filesystem.chunk(stat.nid, number));
      options.onBytes?.(bytes.length);
      yield bytes;
    }
    yield Buffer.alloc(paddingOf(stat.size));
  }
  yield Buffer.alloc(2 * tarBlockSize);
}

interface NamedFile {
  readonly path: ByteString;
  readonly stat: FileStat;
  readonly linkTo: ByteString | undefined;
}

function entryOf(filesystem: ReadableFilesystem, file: NamedFile): TarEntryFields {
  const { path, stat, linkTo } = file;
  const { mode, uid, gid, mtime } = stat;
  const common = { mode, uid, gid, mtime, size: 0, linkPath: "", device: noDevice };
  const xattrs = filesystem.xattrs(stat.nid);
  if (linkTo !== undefined) {
    return { ...common, path, kind: "hardlink", linkPath: linkTo, xattrs: new Map() };
  }
  const kind = tarKind(stat);
  switch (kind) {
    case "directory":
      return { ...common, path: path === "" ? "./" : `${path}/`, kind, xattrs };
    case "file":
      return { ...common, path, kind, size: stat.size, xattrs };
    case "symlink":
      return { ...common, path, kind, linkPath: filesystem.linkTarget(stat.nid), xattrs };
    case "character-device":
    case "block-device":
      return { ...common, path, kind, device: deviceOf(stat), xattrs };
    case "fifo":
      return { ...common, path, kind, xattrs };
    default:
      return kind satisfies never;
  }
}

function tarKind({ kind, nid }: FileStat): Exclude<TarEntryKind, "hardlink"> {
  if (kind !== "socket") return kind;
  throw new TypeError(`inode ${nid} is a socket`);
}

function whiteoutName(path: ByteString): LongshoreError {
  return new LongshoreError(
    "VALIDATION_ERROR",
    `The image has a file ${JSON.stringify(path.slice(0, 256))}, whose name stands for a deletion in a layer.`,
    { details: { field: "path", expected: "a name that does not begin with .wh." } },
  );
}
