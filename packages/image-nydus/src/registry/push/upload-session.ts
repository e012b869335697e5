import type { Abortable } from "@longshore/core";
import { discard, headerOf, resolveLocation, type HttpAnswer } from "../client/http-exchange.ts";
import { answerError } from "../client/answer-error.ts";
import type { Repository } from "../client/repository.ts";
import { pullRefused } from "../registry-errors.ts";

/** An upload that a registry waits for. */
export interface UploadSession {
  /** Where the next request goes; registries change it with each answer */
  readonly location: URL;
  /** Smallest piece that the registry takes, but for the last one; bytes */
  readonly minChunkBytes: number;
}

/** Asks for an upload session, or for the blob of another repository: then there is nothing to upload. */
export async function startUpload(
  repository: Repository,
  digest: string,
  options: Abortable & { readonly mountFrom?: string | undefined },
): Promise<UploadSession | "mounted"> {
  const { mountFrom, signal } = options;
  const query =
    mountFrom === undefined
      ? ""
      : `?mount=${encodeURIComponent(digest)}&from=${encodeURIComponent(mountFrom)}`;
  const answer = await repository.send({
    method: "POST",
    target: `blobs/uploads/${query}`,
    access: "pull,push",
    alsoPull: mountFrom,
    headers: { "content-length": "0" },
    signal,
  });
  if (answer.status === 201 && mountFrom !== undefined) {
    discard(answer);
    return "mounted";
  }
  if (answer.status !== 202) throw await answerError(answer, `${repository.name}'s uploads`);
  return readSession(repository, answer);
}

/** The session as an answer describes it. Uses the answer up. */
export function readSession(repository: Repository, answer: HttpAnswer): UploadSession {
  discard(answer);
  const location = headerOf(answer, "location");
  if (location === undefined) {
    throw pullRefused(`${repository.url.host} does not say where to upload to.`);
  }
  const minimum = headerOf(answer, "oci-chunk-min-length") ?? "0";
  return {
    location: resolveLocation(location, answer.url),
    minChunkBytes: /^\d{1,12}$/.test(minimum) ? Number(minimum) : 0,
  };
}

/** The address that completes an upload. */
export function closingUrl({ location }: UploadSession, digest: string): URL {
  const url = new URL(location);
  // The rest of the query may be signed: it goes back exactly as it came.
  url.search = `${url.search === "" ? "?" : `${url.search}&`}digest=${encodeURIComponent(digest)}`;
  return url;
}

/** Tells the registry that an upload will not be completed. Only a courtesy: failures change nothing. */
export async function cancelUpload(repository: Repository, session: UploadSession): Promise<void> {
  try {
    const answer = await repository.send({
      method: "DELETE",
      target: session.location,
      access: "pull,push",
      signal: AbortSignal.timeout(5_000),
    });
    discard(answer);
  } catch {
    // Registries throw unfinished uploads away by themselves, too.
  }
}

/** Registries that say what they stored must have stored what was sent. */
export function assertSameDigest(
  stored: string | undefined,
  digest: string,
  repository: Repository,
): void {
  if (stored === undefined || stored === digest) return;
  throw pullRefused(`${repository.url.host} says that it stored something else than ${digest}.`);
}
