import type { Abortable } from "@longshore/core";
import { isLongshoreError } from "@longshore/core/errors";
import { delay } from "../abort.ts";
import { answerError } from "../client/answer-error.ts";
import { connectionError, discard, headerOf } from "../client/http-exchange.ts";
import type { Repository } from "../client/repository.ts";
import { retryDelay } from "../client/retry.ts";
import type { Descriptor } from "../manifest.ts";
import { pullFailed, pullRefused } from "../registry-errors.ts";
import { verifyBlob } from "../verified-stream.ts";
import { assertSameDigest, closingUrl, readSession, type UploadSession } from "./upload-session.ts";

export interface ChunkedUpload {
  readonly session: UploadSession;
  readonly descriptor: Descriptor;
  readonly content: () => AsyncIterable<Buffer>;
  readonly chunkBytes: number;
}

const maxChunkBytes = 256 * 1_024 * 1_024;

/** Sends a blob piece by piece. A piece that breaks off is continued where the registry says it has come to. */
export async function pushChunks(
  repository: Repository,
  job: ChunkedUpload,
  options: Abortable = {},
): Promise<void> {
  const { descriptor, content, session } = job;
  const chunkBytes = Math.max(job.chunkBytes, session.minChunkBytes);
  if (!Number.isSafeInteger(chunkBytes) || chunkBytes < 1 || chunkBytes > maxChunkBytes) {
    throw pullRefused(
      `Pieces of ${chunkBytes} bytes cannot be uploaded, only up to ${maxChunkBytes}.`,
    );
  }
  let current = session;
  let offset = 0;
  for await (const bytes of regrouped(verifyBlob(content(), descriptor), chunkBytes)) {
    current = await sendChunk(repository, { session: current, offset, bytes }, options);
    offset += bytes.length;
  }
  const answer = await repository.send({
    method: "PUT",
    target: closingUrl(current, descriptor.digest),
    access: "pull,push",
    headers: { "content-length": "0" },
    signal: options.signal,
  });
  if (answer.status !== 201 && answer.status !== 204) {
    throw await answerError(answer, `${repository.name}@${descriptor.digest}`);
  }
  assertSameDigest(headerOf(answer, "docker-content-digest"), descriptor.digest, repository);
  discard(answer);
}

interface Chunk {
  readonly session: UploadSession;
  /** Place of the first byte in the blob */
  readonly offset: number;
  readonly bytes: Buffer;
}

async function sendChunk(
  repository: Repository,
  chunk: Chunk,
  options: Abortable,
): Promise<UploadSession> {
  const end = chunk.offset + chunk.bytes.length;
  let { session, offset } = chunk;
  for (let failures = 1; ; failures += 1) {
    try {
      const bytes = chunk.bytes.subarray(offset - chunk.offset);
      const answer = await repository.send({
        method: "PATCH",
        target: session.location,
        access: "pull,push",
        headers: {
          "content-type": "application/octet-stream",
          "content-range": `${offset}-${end - 1}`,
        },
        body: () => bytes,
        bodyLength: bytes.length,
        signal: options.signal,
      });
      if (answer.status === 202 || answer.status === 204) return readSession(repository, answer);
      if (answer.status !== 416) throw await answerError(answer, `${repository.name}'s upload`);
      discard(answer);
      throw pullFailed(`${repository.url.host} has another part of the upload.`);
    } catch (error) {
      options.signal?.throwIfAborted();
      const failure = connectionError(error, repository.url);
      const retry = { ...repository.context.settings, signal: options.signal };
      const waitMs = retryDelay(failure, failures, retry);
      if (waitMs === undefined || !isLongshoreError(failure)) throw failure;
      await delay(waitMs, options.signal);
    }
    const state = await askProgress(repository, session, options);
    session = state.session;
    offset = state.received;
    if (offset === end) return session;
    if (offset < chunk.offset || offset > end) {
      throw pullRefused(`${repository.url.host} lost a part of the upload.`);
    }
  }
}

interface Progress {
  readonly session: UploadSession;
  /** Bytes that have arrived */
  readonly received: number;
}

async function askProgress(
  repository: Repository,
  session: UploadSession,
  options: Abortable,
): Promise<Progress> {
  const answer = await repository.send({
    method: "GET",
    target: session.location,
    access: "pull,push",
    signal: options.signal,
  });
  if (answer.status !== 204 && answer.status !== 202) {
    throw await answerError(answer, `${repository.name}'s upload`);
  }
  const match = /^(?:bytes=)?0-(\d{1,15})$/.exec(headerOf(answer, "range") ?? "");
  const last = Number(match?.[1] ?? Number.NaN);
  const location = headerOf(answer, "location");
  const next = location === undefined ? session : readSession(repository, answer);
  discard(answer);
  if (match === null) return { session: next, received: 0 };
  // Registries say 0-0 for nothing at all, which also means the first byte: no piece of ours is that short.
  return { session: next, received: last === 0 ? 0 : last + 1 };
}

/** The same bytes in pieces of one size; the last one is what remains. */
async function* regrouped(
  source: AsyncIterable<Buffer>,
  pieceBytes: number,
): AsyncGenerator<Buffer, void, undefined> {
  let held: Buffer[] = [];
  let size = 0;
  for await (const chunk of source) {
    let rest = chunk;
    while (size + rest.length >= pieceBytes) {
      const taken = rest.subarray(0, pieceBytes - size);
      yield Buffer.concat([...held, taken]);
      rest = rest.subarray(taken.length);
      held = [];
      size = 0;
    }
    if (rest.length > 0) held.push(rest);
    size += rest.length;
  }
  if (size > 0) yield Buffer.concat(held);
}
