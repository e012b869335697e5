import type { Abortable } from "@longshore/core";
import { imageNotFound, pullRefused } from "../registry-errors.ts";
import type { Descriptor } from "../manifest.ts";
import { wrongSize } from "../verified-stream.ts";
import { answerError } from "./answer-error.ts";
import type { BlobLocations } from "./blob-locations.ts";
import { discard, exchange, headerOf, type HttpAnswer } from "./http-exchange.ts";
import type { Repository } from "./repository.ts";

/** A repository with what is remembered of its blobs. */
export interface BlobHost {
  readonly repository: Repository;
  readonly locations: BlobLocations;
}

export interface BytesWanted {
  /** First byte */
  readonly start: number;
  /** Byte after the last one */
  readonly end: number;
}

/**
 * Asks for bytes of a blob. They come from `start` on whatever the server makes of ranges; more than asked for may come.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when the server has a blob of another size
 */
export async function* requestBlob(
  host: BlobHost,
  descriptor: Descriptor,
  wanted: BytesWanted & Abortable,
): AsyncGenerator<Buffer, void, undefined> {
  const answer = await openAnswer(host, descriptor, wanted);
  try {
    // A server without ranges sends everything: what comes before is thrown away.
    let surplus = answer.status === 206 ? 0 : wanted.start;
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      if (chunk.length <= surplus) {
        surplus -= chunk.length;
        continue;
      }
      yield surplus === 0 ? chunk : chunk.subarray(surplus);
      surplus = 0;
    }
  } finally {
    discard(answer);
  }
}

async function openAnswer(
  { repository, locations }: BlobHost,
  descriptor: Descriptor,
  wanted: BytesWanted & Abortable,
): Promise<HttpAnswer> {
  const { digest, size } = descriptor;
  const { start, end, signal } = wanted;
  const isPart = start > 0 || end < size;
  const headers: Record<string, string> = isPart ? { range: `bytes=${start}-${end - 1}` } : {};
  const known = locations.get(digest);
  if (known !== undefined) {
    const answer = await exchange(repository.context, {
      method: "GET",
      url: known,
      headers,
      signal,
    });
    if (answer.status === 200 || answer.status === 206)
      return checkedAnswer(answer, descriptor, wanted);
    // Signed addresses end after a while; the registry knows the next one.
    locations.forget(digest);
    if (answer.status !== 401 && answer.status !== 403 && answer.status !== 404) {
      throw await answerError(answer, `${repository.name}@${digest}`);
    }
    discard(answer);
  }
  const answer = await repository.send({
    method: "GET",
    target: `blobs/${digest}`,
    headers,
    signal,
  });
  const checked = await checkedAnswer(answer, descriptor, wanted).catch((error: unknown) => {
    if (answer.status === 404 && descriptor.urls !== undefined) {
      throw imageNotFound(
        `${repository.name} does not hold ${digest}, a foreign layer; its addresses are not followed.`,
        { cause: error },
      );
    }
    throw error;
  });
  if (checked.url.origin !== repository.url.origin) locations.set(digest, checked.url);
  return checked;
}

/** Lets an answer pass whose bytes are what they have to be, as far as headers say. */
async function checkedAnswer(
  answer: HttpAnswer,
  descriptor: Descriptor,
  { start, end }: BytesWanted,
): Promise<HttpAnswer> {
  const { digest, size } = descriptor;
  if (answer.status === 200) {
    const length = headerOf(answer, "content-length");
    if (length === undefined || Number(length) === size) return answer;
    discard(answer);
    throw wrongSize(digest, size, `${length} bytes`);
  }
  if (answer.status === 416) {
    discard(answer);
    throw wrongSize(digest, size, "less");
  }
  if (answer.status !== 206) throw await answerError(answer, digest);
  const range = headerOf(answer, "content-range") ?? "";
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(range);
  const [, first, last, total] = match ?? [];
  if (total !== undefined && total !== "*" && Number(total) !== size) {
    discard(answer);
    throw wrongSize(digest, size, `${total} bytes`);
  }
  if (Number(first) !== start || !(Number(last) < end)) {
    discard(answer);
    throw pullRefused(`${answer.url.host} sends other bytes of ${digest} than it was asked for.`);
  }
  return answer;
}
