import type { Abortable } from "@longshore/core";
import { documentTooLarge, maxDocumentBytes } from "../bounded-json.ts";
import { digestOf, isDigest } from "../digest.ts";
import { parseManifest, type AnyManifest, type Descriptor } from "../manifest.ts";
import { manifestMediaTypes } from "../media-types.ts";
import { readAll } from "../read-all.ts";
import { checksumMismatch } from "../registry-errors.ts";
import { wrongSize } from "../verified-stream.ts";
import { answerError } from "./answer-error.ts";
import {
  connectionError,
  discard,
  documentSignal,
  headerOf,
  type HttpAnswer,
} from "./http-exchange.ts";
import type { Repository } from "./repository.ts";

/** What a manifest is asked for by. */
export interface ManifestTarget {
  /** Tag or digest */
  readonly reference: string;
  /** What is known of it */
  readonly descriptor?: Pick<Descriptor, "mediaType" | "size"> | undefined;
}

/** Fetches a manifest or an index and checks it. */
export async function fetchRemoteManifest(
  repository: Repository,
  { reference, descriptor }: ManifestTarget,
  options: Abortable = {},
): Promise<AnyManifest> {
  if ((descriptor?.size ?? 0) > maxDocumentBytes) throw documentTooLarge("manifest");
  const name = `${repository.name}${isDigest(reference) ? "@" : ":"}${reference}`;
  const { answer, bytes } = await fetchDocument(
    repository,
    {
      target: `manifests/${reference}`,
      what: "manifest",
      name,
      headers: { accept: manifestMediaTypes.join(", ") },
    },
    options,
  );
  const promised = isDigest(reference) ? reference : promisedDigest(answer);
  const digest = digestOf(bytes, promised);
  if (promised !== undefined && digest !== promised) {
    throw checksumMismatch(`The manifest of ${name}`, promised, digest);
  }
  if (descriptor !== undefined && descriptor.size !== bytes.length) {
    throw wrongSize(digest, descriptor.size, `${bytes.length} bytes`);
  }
  const contentType = headerOf(answer, "content-type")?.split(";")[0]?.trim();
  const claimed = descriptor?.mediaType ?? contentType;
  return parseManifest(bytes, claimed, digest);
}

export interface DocumentRequest {
  readonly target: string | URL;
  /** Kind of document, for errors */
  readonly what: string;
  /** What is asked for, for errors */
  readonly name: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export interface RemoteDocument {
  readonly answer: HttpAnswer;
  readonly bytes: Buffer;
}

/** Fetches a document of bounded size in bounded time. */
export async function fetchDocument(
  repository: Repository,
  request: DocumentRequest,
  options: Abortable = {},
): Promise<RemoteDocument> {
  const { target, what, name, headers } = request;
  const signal = documentSignal(repository.context.settings, options.signal);
  try {
    const answer = await repository.send({ method: "GET", target, headers, signal });
    if (answer.status !== 200) throw await answerError(answer, name);
    if (Number(headerOf(answer, "content-length") ?? 0) > maxDocumentBytes) {
      discard(answer);
      throw documentTooLarge(what);
    }
    const bytes = await readAll(answer.body, maxDocumentBytes, () => documentTooLarge(what));
    return { answer, bytes };
  } catch (error) {
    options.signal?.throwIfAborted();
    throw connectionError(error, repository.url);
  }
}

function promisedDigest(answer: HttpAnswer): string | undefined {
  const header = headerOf(answer, "docker-content-digest");
  return header !== undefined && isDigest(header) ? header : undefined;
}
