import type { Abortable } from "@longshore/core";
import { answerError } from "../client/answer-error.ts";
import { connectionError, discard, documentSignal, headerOf } from "../client/http-exchange.ts";
import type { Repository } from "../client/repository.ts";
import { withRetries } from "../client/retry.ts";
import type { BlobOutcome, WriteBlobOptions } from "../image-target.ts";
import type { Descriptor } from "../manifest.ts";
import { verifyBlob } from "../verified-stream.ts";
import { pushChunks } from "./push-chunks.ts";
import {
  assertSameDigest,
  cancelUpload,
  closingUrl,
  startUpload,
  type UploadSession,
} from "./upload-session.ts";

export interface PushBlobOptions extends WriteBlobOptions {
  /**
   * Bytes of a piece when a blob is sent in several requests; they are held in memory. Absent: it is sent in one request,
   * and in pieces of 16 MiB only to a registry that finds it too large.
   */
  readonly chunkBytes?: number | undefined;
}

export interface BlobContent {
  readonly descriptor: Descriptor;
  /** Gives the bytes; asked again when they have to be sent again */
  readonly content: () => AsyncIterable<Buffer>;
}

const fallbackChunkBytes = 16 * 1_024 * 1_024;

/**
 * Brings a blob into a repository: not at all when it is there, by mounting it from another repository of the registry, or
 * by an upload that is repeated when it fails for the moment.
 */
export async function pushBlob(
  repository: Repository,
  blob: BlobContent,
  options: PushBlobOptions = {},
): Promise<BlobOutcome> {
  const { signal, mountFrom, chunkBytes } = options;
  const { descriptor } = blob;
  const retry = { ...repository.context.settings, signal };
  return withRetries(async () => {
    try {
      if (await hasBlob(repository, descriptor, options)) return "exists";
      const session = await startUpload(repository, descriptor.digest, { mountFrom, signal });
      if (session === "mounted") return "mounted";
      await upload(repository, { ...blob, session, chunkBytes }, options);
      return "written";
    } catch (error) {
      signal?.throwIfAborted();
      throw connectionError(error, repository.url);
    }
  }, retry);
}

async function hasBlob(
  repository: Repository,
  { digest, size }: Descriptor,
  options: Abortable,
): Promise<boolean> {
  const signal = documentSignal(repository.context.settings, options.signal);
  const target = `blobs/${digest}`;
  const answer = await repository.send({ method: "HEAD", target, access: "pull,push", signal });
  discard(answer);
  if (answer.status !== 200) {
    if (answer.status === 404) return false;
    throw await answerError(answer, `${repository.name}@${digest}`);
  }
  const length = headerOf(answer, "content-length");
  return length === undefined || Number(length) === size;
}

interface Upload extends BlobContent {
  readonly session: UploadSession;
  readonly chunkBytes?: number | undefined;
}

async function upload(
  repository: Repository,
  job: Upload,
  options: PushBlobOptions,
): Promise<void> {
  const { descriptor, session, chunkBytes } = job;
  try {
    const isTaken = chunkBytes === undefined && (await putWhole(repository, job, options));
    if (isTaken) return;
    const next =
      chunkBytes === undefined
        ? await startUpload(repository, descriptor.digest, { signal: options.signal })
        : session;
    if (next === "mounted") return;
    const pieces = chunkBytes ?? fallbackChunkBytes;
    await pushChunks(repository, { ...job, session: next, chunkBytes: pieces }, options);
  } catch (error) {
    await cancelUpload(repository, session);
    throw error;
  }
}

/** Sends everything at once; false when that is too much for the registry. */
async function putWhole(
  repository: Repository,
  { session, descriptor, content }: Upload,
  options: Abortable,
): Promise<boolean> {
  const answer = await repository.send({
    method: "PUT",
    target: closingUrl(session, descriptor.digest),
    access: "pull,push",
    headers: { "content-type": "application/octet-stream" },
    // Bytes that are wrong end the request before its last byte.
    body: () => (descriptor.size === 0 ? Buffer.alloc(0) : verifyBlob(content(), descriptor)),
    bodyLength: descriptor.size,
    signal: options.signal,
  });
  if (answer.status === 413) {
    discard(answer);
    return false;
  }
  if (answer.status !== 201 && answer.status !== 204) {
    throw await answerError(answer, `${repository.name}@${descriptor.digest}`);
  }
  assertSameDigest(headerOf(answer, "docker-content-digest"), descriptor.digest, repository);
  discard(answer);
  return true;
}
