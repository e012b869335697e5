import type { Abortable, Logger } from "@longshore/core";
import { isLongshoreError } from "@longshore/core/errors";
import type PQueue from "p-queue";
import { assertRange } from "../blob-range.ts";
import { parseDigest } from "../digest.ts";
import type { BlobRange, ImageSource, OpenBlobOptions } from "../image-source.ts";
import type { AnyManifest, Descriptor } from "../manifest.ts";
import { formatReference, type ImageReference } from "../reference.ts";
import { resolveImage } from "../resolve-image.ts";
import { verifyBlob } from "../verified-stream.ts";
import { createBlobLocations } from "./blob-locations.ts";
import type { ClientSettings } from "./client-options.ts";
import { fetchRemoteManifest, type ManifestTarget } from "./fetch-document.ts";
import { fetchReferrers } from "./fetch-referrers.ts";
import { fetchTags } from "./fetch-tags.ts";
import type { Repository } from "./repository.ts";
import { withRetries } from "./retry.ts";
import { streamBlob } from "./stream-blob.ts";

export interface RegistrySourceOptions {
  readonly reference: ImageReference;
  /** Mirrors first, the registry itself last; at least one */
  readonly repositories: readonly Repository[];
  readonly settings: ClientSettings;
  readonly logger: Logger;
  /** Bounds requests whose answers are read at once */
  readonly queue: PQueue;
  readonly onDispose: () => Promise<void>;
}

/** An image source over a registry and its mirrors. */
export function registrySource(options: RegistrySourceOptions): ImageSource {
  const { reference, repositories, settings, logger, queue, onDispose } = options;
  const name = formatReference(reference);
  const hosts = repositories.map((repository) => ({
    repository,
    locations: createBlobLocations(),
  }));
  const disposal = new AbortController();

  const withDisposal = ({ signal }: Abortable = {}): AbortSignal =>
    signal === undefined ? disposal.signal : AbortSignal.any([signal, disposal.signal]);

  /** Asks one after the other until one has an answer. */
  async function askEach<T>(
    ask: (repository: Repository) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    for (const [index, repository] of repositories.entries()) {
      try {
        return await queue.add(() => withRetries(() => ask(repository), { ...settings, signal }));
      } catch (error) {
        signal.throwIfAborted();
        if (index === repositories.length - 1) throw error;
        const code = isLongshoreError(error) ? error.code : undefined;
        logger.warn({ mirror: repository.name, image: name, code }, "image mirror passed over");
      }
    }
    throw new RangeError("a source needs a repository");
  }

  async function fetchManifest(
    descriptor?: Pick<Descriptor, "digest" | "mediaType" | "size">,
    callOptions: Abortable = {},
  ): Promise<AnyManifest> {
    const signal = withDisposal(callOptions);
    const target: ManifestTarget =
      descriptor === undefined
        ? { reference: reference.digest ?? reference.tag ?? "latest" }
        : { reference: descriptor.digest, descriptor };
    return askEach((repository) => fetchRemoteManifest(repository, target, { signal }), signal);
  }

  async function* openBlob(
    descriptor: Descriptor,
    callOptions: OpenBlobOptions = {},
  ): AsyncGenerator<Buffer, void, undefined> {
    const signal = withDisposal(callOptions);
    parseDigest(descriptor.digest);
    const wanted = { start: callOptions.offset ?? 0, end: descriptor.size, signal };
    yield* verifyBlob(streamBlob(hosts, descriptor, wanted), descriptor, callOptions);
  }

  async function readPart(
    descriptor: Descriptor,
    { offset, length }: BlobRange,
    signal: AbortSignal,
  ): Promise<Buffer> {
    const bytes = Buffer.allocUnsafeSlow(length);
    if (length === 0) return bytes;
    const wanted = { start: offset, end: offset + length, signal };
    let filled = 0;
    for await (const chunk of streamBlob(hosts, descriptor, wanted)) {
      filled += chunk.copy(bytes, filled);
      if (filled === length) break;
    }
    return bytes;
  }

  return {
    name,
    fetchManifest,
    openBlob,
    resolve: (callOptions) => resolveImage({ name, fetchManifest, openBlob }, callOptions),
    async readRange(descriptor, range, callOptions) {
      assertRange(descriptor, range);
      const signal = withDisposal(callOptions);
      signal.throwIfAborted();
      return queue.add(() => readPart(descriptor, range, signal));
    },
    async listReferrers(digest, callOptions = {}) {
      parseDigest(digest);
      const signal = withDisposal(callOptions);
      const { artifactType } = callOptions;
      return askEach(
        (repository) => fetchReferrers(repository, { digest, artifactType, signal }),
        signal,
      );
    },
    async listTags(callOptions) {
      const signal = withDisposal(callOptions);
      return askEach((repository) => fetchTags(repository, { signal }), signal);
    },
    async [Symbol.asyncDispose]() {
      disposal.abort(new DOMException("The image source was closed.", "AbortError"));
      await onDispose();
    },
  };
}
