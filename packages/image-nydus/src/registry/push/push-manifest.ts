import type { Abortable } from "@longshore/core";
import { isLongshoreError } from "@longshore/core/errors";
import { answerError } from "../client/answer-error.ts";
import { fetchRemoteManifest } from "../client/fetch-document.ts";
import { referrersTag } from "../client/fetch-referrers.ts";
import { connectionError, discard, documentSignal, headerOf } from "../client/http-exchange.ts";
import type { Repository } from "../client/repository.ts";
import { withRetries } from "../client/retry.ts";
import { digestOf } from "../digest.ts";
import type { ManifestBytes } from "../image-target.ts";
import { parseManifest, type AnyManifest, type Descriptor } from "../manifest.ts";
import { mediaTypes } from "../media-types.ts";
import { pullFailed } from "../registry-errors.ts";
import { assertSameDigest } from "./upload-session.ts";

export interface PushManifestOptions extends Abortable {
  /** Also give it this name */
  readonly tag?: string | undefined;
}

const maxIndexTries = 5;

/**
 * Writes a manifest or an index, by tag or by digest alone. For one with a subject it also keeps the list of referrers, where
 * the registry does not do that by itself.
 */
export async function pushManifest(
  repository: Repository,
  manifest: ManifestBytes,
  options: PushManifestOptions = {},
): Promise<Descriptor> {
  const { signal, tag } = options;
  const document = parseManifest(manifest.bytes, manifest.mediaType);
  const { descriptor } = document;
  const put = { descriptor, bytes: manifest.bytes, reference: tag ?? descriptor.digest };
  const keepsReferrers = await putManifest(repository, put, { signal });
  const subject = bodyOf(document).subject?.digest;
  if (subject !== undefined && !keepsReferrers) {
    await addReferrer(repository, { subject, referrer: referrerOf(document) }, { signal });
  }
  return descriptor;
}

interface ManifestPut {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
  readonly reference: string;
}

/** Whether the registry keeps the referrers of the subject. */
async function putManifest(
  repository: Repository,
  { descriptor, bytes, reference }: ManifestPut,
  { signal }: Abortable,
): Promise<boolean> {
  const { settings } = repository.context;
  return withRetries(
    async () => {
      try {
        const answer = await repository.send({
          method: "PUT",
          target: `manifests/${reference}`,
          access: "pull,push",
          headers: { "content-type": descriptor.mediaType },
          body: () => bytes,
          signal: documentSignal(settings, signal),
        });
        if (answer.status !== 201 && answer.status !== 200 && answer.status !== 202) {
          throw await answerError(answer, `${repository.name}'s ${reference}`);
        }
        const stored = headerOf(answer, "docker-content-digest");
        assertSameDigest(stored, descriptor.digest, repository);
        discard(answer);
        return headerOf(answer, "oci-subject") !== undefined;
      } catch (error) {
        signal?.throwIfAborted();
        throw connectionError(error, repository.url);
      }
    },
    { ...settings, signal },
  );
}

interface NewReferrer {
  readonly subject: string;
  readonly referrer: Descriptor;
}

/**
 * Adds to the index under the subject's tag. Two clients may do so at once and there is no lock: the index is read again
 * until it has what was added.
 */
async function addReferrer(
  repository: Repository,
  { subject, referrer }: NewReferrer,
  options: Abortable,
): Promise<void> {
  const reference = referrersTag(subject);
  for (let tries = 0; tries < maxIndexTries; tries += 1) {
    const known = await readReferrers(repository, reference, options);
    if (known.some(({ digest }) => digest === referrer.digest)) return;
    const index = {
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [...known, referrer],
    };
    const bytes = Buffer.from(JSON.stringify(index));
    const descriptor = {
      mediaType: mediaTypes.ociIndex,
      digest: digestOf(bytes),
      size: bytes.length,
    };
    await putManifest(repository, { descriptor, bytes, reference }, options);
  }
  throw pullFailed(`The referrers of ${subject} are changed by others all the time.`);
}

/** Descriptors as they stand in the index: what we do not know of stays in it. */
async function readReferrers(
  repository: Repository,
  reference: string,
  options: Abortable,
): Promise<readonly Descriptor[]> {
  try {
    const document = await fetchRemoteManifest(repository, { reference }, options);
    if (document.kind !== "index") return [];
    const raw = JSON.parse(document.bytes.toString("utf8")) as { manifests: Descriptor[] };
    return raw.manifests;
  } catch (error) {
    if (isLongshoreError(error, "IMAGE_NOT_FOUND")) return [];
    throw error;
  }
}

/** How a manifest stands in a list of referrers. */
function referrerOf(document: AnyManifest): Descriptor {
  const { artifactType, annotations } = bodyOf(document);
  const configType = document.kind === "manifest" ? document.manifest.config.mediaType : undefined;
  const type = artifactType ?? configType;
  return {
    ...document.descriptor,
    ...(type !== undefined && { artifactType: type }),
    ...(annotations !== undefined && { annotations }),
  };
}

function bodyOf(
  document: AnyManifest,
): Pick<
  Extract<AnyManifest, { kind: "index" }>["index"],
  "subject" | "artifactType" | "annotations"
> {
  return document.kind === "index" ? document.index : document.manifest;
}
