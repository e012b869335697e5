import { readSync, writeSync } from "node:fs";
import type { LocalBlobReader } from "../mount/local-blob-reader.ts";
import { errno, maxReadBytes, sizeOf } from "./fuse-protocol.ts";
import { beginReply, writeStatus } from "./fuse-reply.ts";
import type { DataRead, FuseSession } from "./fuse-session.ts";
import { requestBuffer } from "./negotiate.ts";

export interface ServeRequestsOptions {
  /** Open file of `/dev/fuse`; stays open */
  readonly device: number;
  readonly session: FuseSession;
  /** Blobs on this machine; absent: reads go to `onRead` */
  readonly blobs?: LocalBlobReader | undefined;
  /** Takes over a read, answer included */
  readonly onRead: (read: DataRead) => void;
  /** A caller no longer waits for a read */
  readonly onInterrupt: (unique: bigint) => void;
  /** The data of a read could not be had; its caller gets EIO */
  readonly onReadError: (error: unknown, read: DataRead) => void;
}

/**
 * Answers requests until the filesystem is unmounted. Blocks its thread: waiting in `read` is the only way to hear of a
 * request without a native module, and the thread pool of the process must not be filled with waiting.
 */
export function serveRequests(options: ServeRequestsOptions): void {
  const { device, session, blobs, onRead, onInterrupt } = options;
  const buffer = requestBuffer();
  const reply = Buffer.alloc(sizeOf.replyHeader + maxReadBytes);
  for (;;) {
    const length = nextRequest(device, buffer);
    if (length === undefined) return;
    const request = buffer.subarray(0, length);
    const answer = session.handle(request, reply);
    switch (answer.kind) {
      case "reply":
        sendReply(device, reply, answer.length);
        break;
      case "interrupt":
        onInterrupt(answer.unique);
        break;
      case "read":
        if (blobs === undefined) onRead(answer);
        else sendReply(device, reply, readData(options, { request, reply, read: answer }));
        break;
      case "none":
        break;
      default:
        answer satisfies never;
    }
  }
}

function readData(
  { blobs, onReadError }: ServeRequestsOptions,
  { request, reply, read }: { request: Buffer; reply: Buffer; read: DataRead },
): number {
  let at = sizeOf.replyHeader;
  try {
    for (const { blobId, offset, length } of read.pieces) {
      blobs?.readSync(blobId, offset, reply.subarray(at, at + length));
      at += length;
    }
    beginReply(reply, request, sizeOf.replyHeader);
    reply.writeUInt32LE(at, 0);
    return at;
  } catch (error) {
    onReadError(error, read);
    return writeStatus(reply, request, errno.EIO);
  }
}

/** Bytes of the next request; `undefined` when the filesystem is unmounted. */
function nextRequest(device: number, buffer: Buffer): number | undefined {
  for (;;) {
    try {
      const length = readSync(device, buffer);
      if (length >= sizeOf.requestHeader) return length;
    } catch (error) {
      const code = codeOf(error);
      if (code === "ENODEV" || code === "ECONNABORTED") return undefined;
      // ENOENT: the caller gave up before its request was read.
      if (code !== "ENOENT" && code !== "EINTR" && code !== "EAGAIN") throw error;
    }
  }
}

function sendReply(device: number, reply: Buffer, length: number): void {
  try {
    writeSync(device, reply, 0, length);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** Whether an answer failed because nobody waits for it: the caller was killed, or the filesystem is unmounted. */
export function isGone(error: unknown): boolean {
  const code = codeOf(error);
  return code === "ENOENT" || code === "ENODEV" || code === "ECONNABORTED" || code === "EPERM";
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
