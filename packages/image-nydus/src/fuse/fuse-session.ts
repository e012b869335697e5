import { isLongshoreError } from "@longshore/core/errors";
import type { ReadableFilesystem } from "../rafs/readable-filesystem.ts";
import type { ByteString } from "../tree/inode.ts";
import { readPieces, type BlobPiece } from "../mount/read-pieces.ts";
import { directoryPages } from "./directory-pages.ts";
import { errno, maxReadBytes, opcode, openFlag, rootNodeId, sizeOf } from "./fuse-protocol.ts";
import {
  beginReply,
  modeOfKind,
  readUint64,
  writeAttributesReply,
  writeEntry,
  writeInt64,
  writeNoEntry,
  writeStatus,
} from "./fuse-reply.ts";
import { negotiate, type Agreement } from "./negotiate.ts";

/** A read of file data, which whoever holds the blobs answers. */
export interface DataRead {
  readonly kind: "read";
  /** Number of the request, which its answer carries */
  readonly unique: bigint;
  readonly nid: number;
  readonly length: number;
  readonly pieces: readonly BlobPiece[];
}

/** What a request leads to. */
type Answer =
  | { readonly kind: "reply"; readonly length: number }
  | { readonly kind: "none" }
  | { readonly kind: "interrupt"; readonly unique: bigint }
  | DataRead;

export interface FuseSessionOptions {
  /** Kernel and server have agreed: the mount works from now on */
  readonly onReady: () => void;
  /** The metadata could not answer; the caller gets EIO */
  readonly onError: (error: unknown, nid: number) => void;
}

export interface FuseSession {
  /**
   * Answers one request. An answer of kind `reply` stands in `reply`, which holds a header and {@link maxReadBytes}.
   * Keeps nothing of the request.
   */
  handle(request: Buffer, reply: Buffer): Answer;
}

const none: Answer = { kind: "none" };
const writing: ReadonlySet<number> = new Set([
  opcode.setattr,
  opcode.symlink,
  opcode.mknod,
  opcode.mkdir,
  opcode.unlink,
  opcode.rmdir,
  opcode.rename,
  opcode.link,
  opcode.write,
  opcode.setxattr,
  opcode.removexattr,
  opcode.create,
  opcode.fallocate,
  opcode.rename2,
  opcode.copyFileRange,
  opcode.tmpfile,
]);

/**
 * Answers the kernel's requests out of an image's metadata. It remembers no files between requests (a node's number is its
 * nid), so several sessions may serve one mount; `agreed` is what they share.
 */
export function fuseSession(
  filesystem: ReadableFilesystem,
  agreed: SharedAgreement,
  options: FuseSessionOptions,
): FuseSession {
  const pages = directoryPages(filesystem);
  const { rootNid } = filesystem;
  // Node 0 is none and 1 is the root, whatever their nids are.
  const nodeOf = (nid: number): number => (nid === rootNid ? rootNodeId : nid + 2);
  const nidOf = (node: number): number => (node === rootNodeId ? rootNid : node - 2);

  const status = (request: Buffer, reply: Buffer, error: number): Answer => ({
    kind: "reply",
    length: writeStatus(reply, request, error),
  });
  const begin = (request: Buffer, reply: Buffer, bodyBytes: number): Answer => {
    const length = sizeOf.replyHeader + bodyBytes;
    beginReply(reply, request, length);
    return { kind: "reply", length };
  };

  const lookup = (request: Buffer, reply: Buffer, nid: number): Answer => {
    const answer = begin(request, reply, sizeOf.entryReply);
    const found = filesystem.lookup(nid, nameIn(request, sizeOf.requestHeader));
    if (found === undefined) writeNoEntry(reply, sizeOf.replyHeader);
    else {
      const stat = filesystem.stat(found.nid);
      writeEntry(reply, sizeOf.replyHeader, { nodeId: nodeOf(found.nid), stat });
    }
    return answer;
  };

  const getattr = (request: Buffer, reply: Buffer, nid: number): Answer => {
    const answer = begin(request, reply, sizeOf.attributesReply);
    writeAttributesReply(reply, sizeOf.replyHeader, filesystem.stat(nid));
    return answer;
  };

  const readlink = (request: Buffer, reply: Buffer, nid: number): Answer => {
    const target = filesystem.linkTarget(nid);
    const answer = begin(request, reply, target.length);
    reply.write(target, sizeOf.replyHeader, "latin1");
    return answer;
  };

  const open = (request: Buffer, reply: Buffer, isDirectory: boolean): Answer => {
    if (isDirectory ? agreed.noOpendir : agreed.noOpen) return status(request, reply, errno.ENOSYS);
    const answer = begin(request, reply, sizeOf.openReply);
    const flags = openFlag.keepCache | (isDirectory ? openFlag.cacheDirectory : 0);
    reply.writeUInt32LE(flags, sizeOf.replyHeader + 8);
    return answer;
  };

  const read = (request: Buffer, reply: Buffer, nid: number): Answer => {
    const stat = filesystem.stat(nid);
    if (stat.kind !== "file") return status(request, reply, errno.EINVAL);
    const { offset, size } = rangeIn(request);
    const length = Math.max(0, Math.min(size, stat.size - offset));
    if (length === 0) return begin(request, reply, 0);
    const pieces = readPieces(filesystem, { nid, offset, length });
    return { kind: "read", unique: request.readBigUInt64LE(8), nid, length, pieces };
  };

  const readdir = (request: Buffer, reply: Buffer, listing: Listing): Answer => {
    const { offset, size } = rangeIn(request);
    const prefix = listing.plus ? sizeOf.entryReply : 0;
    const end = sizeOf.replyHeader + size;
    let at = sizeOf.replyHeader;
    for (const entry of pages.from(listing.nid, offset)) {
      const entryBytes = prefix + roundUp(sizeOf.directoryEntry + entry.name.length);
      if (at + entryBytes > end) break;
      reply.fill(0, at, at + entryBytes);
      // The two dots come without attributes: the kernel has those already.
      if (listing.plus && entry.place > 1) {
        writeEntry(reply, at, { nodeId: nodeOf(entry.nid), stat: filesystem.stat(entry.nid) });
      }
      const record = at + prefix;
      writeInt64(reply, entry.nid, record);
      writeInt64(reply, entry.place + 1, record + 8);
      reply.writeUInt32LE(entry.name.length, record + 16);
      reply.writeUInt32LE(modeOfKind(entry.kind) >> 12, record + 20);
      reply.write(entry.name, record + sizeOf.directoryEntry, "latin1");
      at += entryBytes;
    }
    beginReply(reply, request, sizeOf.replyHeader);
    reply.writeUInt32LE(at, 0);
    return { kind: "reply", length: at };
  };

  const statfs = (request: Buffer, reply: Buffer): Answer => {
    const answer = begin(request, reply, sizeOf.statfsReply);
    const body = sizeOf.replyHeader;
    let bytes = 0;
    for (const blob of filesystem.blobs) bytes += blob.uncompressedSize;
    writeInt64(reply, Math.ceil(bytes / 4_096), body);
    writeInt64(reply, filesystem.inodeCount, body + 24);
    reply.writeUInt32LE(4_096, body + 40);
    reply.writeUInt32LE(255, body + 44);
    reply.writeUInt32LE(4_096, body + 48);
    return answer;
  };

  const sized = (request: Buffer, reply: Buffer, value: Buffer): Answer => {
    const room = request.readUInt32LE(sizeOf.requestHeader);
    if (room === 0) {
      const answer = begin(request, reply, sizeOf.getxattrReply);
      reply.writeUInt32LE(value.length, sizeOf.replyHeader);
      return answer;
    }
    if (value.length > room) return status(request, reply, errno.ERANGE);
    const answer = begin(request, reply, value.length);
    value.copy(reply, sizeOf.replyHeader);
    return answer;
  };

  const getxattr = (request: Buffer, reply: Buffer, nid: number): Answer => {
    const value = filesystem.xattrs(nid).get(nameIn(request, sizeOf.requestHeader + 8));
    return value === undefined
      ? status(request, reply, errno.ENODATA)
      : sized(request, reply, value);
  };

  const listxattr = (request: Buffer, reply: Buffer, nid: number): Answer => {
    const names = [...filesystem.xattrs(nid).keys()].map((name) => `${name}\0`).join("");
    return sized(request, reply, Buffer.from(names, "latin1"));
  };

  const init = (request: Buffer, reply: Buffer): Answer => {
    const { length, agreement } = negotiate(request, reply);
    if (agreement !== undefined) {
      agreed.set(agreement);
      options.onReady();
    }
    return { kind: "reply", length };
  };

  const answer = (request: Buffer, reply: Buffer, nid: number): Answer => {
    const operation = request.readUInt32LE(4);
    switch (operation) {
      case opcode.init:
        return init(request, reply);
      case opcode.lookup:
        return lookup(request, reply, nid);
      case opcode.getattr:
        return getattr(request, reply, nid);
      case opcode.read:
        return read(request, reply, nid);
      case opcode.readlink:
        return readlink(request, reply, nid);
      case opcode.open:
        return open(request, reply, false);
      case opcode.opendir:
        return open(request, reply, true);
      case opcode.readdir:
        return readdir(request, reply, { nid, plus: false });
      case opcode.readdirplus:
        return readdir(request, reply, { nid, plus: true });
      case opcode.getxattr:
        return getxattr(request, reply, nid);
      case opcode.listxattr:
        return listxattr(request, reply, nid);
      case opcode.statfs:
        return statfs(request, reply);
      case opcode.release:
      case opcode.releasedir:
      case opcode.destroy:
        return status(request, reply, 0);
      case opcode.forget:
      case opcode.batchForget:
        return none;
      case opcode.interrupt:
        return { kind: "interrupt", unique: request.readBigUInt64LE(sizeOf.requestHeader) };
      default:
        // ACCESS among them: the kernel checks permissions itself and need not ask.
        return status(request, reply, writing.has(operation) ? errno.EROFS : errno.ENOSYS);
    }
  };

  return {
    handle(request, reply) {
      const nid = nidOf(readUint64(request, 16));
      try {
        return answer(request, reply, nid);
      } catch (error) {
        if (isLongshoreError(error, "NOT_FOUND")) return status(request, reply, errno.ENOENT);
        options.onError(error, nid);
        return status(request, reply, errno.EIO);
      }
    },
  };
}

interface Listing {
  readonly nid: number;
  /** With the attributes of each entry */
  readonly plus: boolean;
}

/** What the thread that saw INIT agreed on, for all threads of the mount. */
export interface SharedAgreement extends Agreement {
  set(agreement: Agreement): void;
}

/** @param memory of two 32-bit numbers, shared by the threads */
export function sharedAgreement(memory: Int32Array): SharedAgreement {
  return {
    get noOpen() {
      return Atomics.load(memory, 0) === 1;
    },
    get noOpendir() {
      return Atomics.load(memory, 1) === 1;
    },
    set({ noOpen, noOpendir }) {
      Atomics.store(memory, 0, noOpen ? 1 : 0);
      Atomics.store(memory, 1, noOpendir ? 1 : 0);
    },
  };
}

/** The name in a request that ends with one, without its final zero byte. */
function nameIn(request: Buffer, offset: number): ByteString {
  const end = request.indexOf(0, offset);
  return request.toString("latin1", offset, end === -1 ? request.length : end);
}

function rangeIn(request: Buffer): { readonly offset: number; readonly size: number } {
  const body = sizeOf.requestHeader;
  const size = Math.min(request.readUInt32LE(body + 16), maxReadBytes);
  return { offset: readUint64(request, body + 8), size };
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}
