import {
  errno,
  initFlag,
  maxPages,
  maxWriteBytes,
  protocol,
  requestBytes,
  sizeOf,
} from "./fuse-protocol.ts";
import { beginReply, writeStatus } from "./fuse-reply.ts";

/** What both sides agreed on. */
export interface Agreement {
  /** Answering OPEN with "not implemented" spares it and RELEASE from then on */
  readonly noOpen: boolean;
  /** The same for OPENDIR */
  readonly noOpendir: boolean;
}

const wanted =
  initFlag.asyncRead |
  initFlag.doReaddirplus |
  initFlag.readdirplusAuto |
  initFlag.asyncDio |
  initFlag.noOpenSupport |
  initFlag.parallelDirops |
  initFlag.posixAcl |
  initFlag.maxPages |
  initFlag.cacheSymlinks |
  initFlag.noOpendirSupport |
  initFlag.explicitInvalData |
  initFlag.initExt |
  initFlag.allowIdmap;

/** Reads ahead that the kernel may have under way at once; above three quarters it holds back. */
const maxBackground = 64;

/** Answers INIT. No agreement comes of it when the kernel is too old, or too new and will ask again. */
export function negotiate(
  request: Buffer,
  reply: Buffer,
): { readonly length: number; readonly agreement?: Agreement } {
  const body = sizeOf.requestHeader;
  const major = request.readUInt32LE(body);
  const minor = request.readUInt32LE(body + 4);
  const length = sizeOf.replyHeader + sizeOf.initReply;
  const at = sizeOf.replyHeader;
  if (major > protocol.major) {
    // The kernel asks again, in the version that this names.
    beginReply(reply, request, length);
    reply.writeUInt32LE(protocol.major, at);
    reply.writeUInt32LE(protocol.minor, at + 4);
    return { length };
  }
  if (major < protocol.major || minor < protocol.minimumMinor) {
    return { length: writeStatus(reply, request, errno.EPROTO) };
  }
  const flags = offeredFlags(request) & wanted;
  beginReply(reply, request, length);
  reply.writeUInt32LE(protocol.major, at);
  reply.writeUInt32LE(Math.min(minor, protocol.minor), at + 4);
  // All that it offers; a bound of its own is set by the block layer (`read_ahead_kb`).
  reply.writeUInt32LE(request.readUInt32LE(body + 8), at + 8);
  reply.writeUInt32LE(Number(flags & 0xffff_ffffn), at + 12);
  reply.writeUInt16LE(maxBackground, at + 16);
  reply.writeUInt16LE((maxBackground * 3) / 4, at + 18);
  reply.writeUInt32LE(maxWriteBytes, at + 20);
  reply.writeUInt32LE(1, at + 24);
  reply.writeUInt16LE(maxPages, at + 28);
  reply.writeUInt32LE(Number(flags >> 32n), at + 32);
  return {
    length,
    agreement: {
      noOpen: (flags & initFlag.noOpenSupport) !== 0n,
      noOpendir: (flags & initFlag.noOpendirSupport) !== 0n,
    },
  };
}

function offeredFlags(request: Buffer): bigint {
  const at = sizeOf.requestHeader + 12;
  const low = BigInt(request.readUInt32LE(at));
  const isExtended = (low & initFlag.initExt) !== 0n && request.readUInt32LE(0) >= at + 8;
  return isExtended ? low | (BigInt(request.readUInt32LE(at + 4)) << 32n) : low;
}

/** A buffer that every request fits in. */
export function requestBuffer(): Buffer {
  return Buffer.alloc(requestBytes);
}
