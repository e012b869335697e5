import { createHash } from "node:crypto";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { MeterProvider } from "@opentelemetry/api";
import type { Abortable } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
import { removeDrafts, writeWhole } from "@longshore/core/files";
import { accessRecorder } from "../lazy/access-recorder.ts";
import { readBootstrapLayer } from "../lazy/bootstrap-layer.ts";
import { lazyBlobReader, type LazyBlobReader } from "../lazy/lazy-blob-reader.ts";
import type { LazyEventListener } from "../lazy/lazy-event.ts";
import { lazyFiles, removeLazyFiles } from "../lazy/lazy-files.ts";
import { nydusBlobs } from "../lazy/nydus-blobs.ts";
import { parseNydusManifest } from "../lazy/nydus-manifest.ts";
import { readPrefetchList } from "../lazy/prefetch-list.ts";
import { fileSink } from "../rafs/byte-sink.ts";
import { validateRafs } from "../rafs/validate-rafs.ts";
import { openBootstrap } from "../rafs/open-bootstrap.ts";
import { parseImageConfigFile } from "../registry/image-config-file.ts";
import type { ImageSource } from "../registry/image-source.ts";
import { parseManifest, type ManifestDocument } from "../registry/manifest.ts";
import { readAll } from "../registry/read-all.ts";
import { fetchDeviceIds } from "./fetch-device-ids.ts";
import type { ImageDatabase } from "./image-database.ts";
import type { ImageRecord } from "./image-records.ts";
import type { StoreLayout } from "./store-layout.ts";

const maxConfigBytes = 4 * 1_048_576;

export interface LazyImagesOptions {
  readonly database: ImageDatabase;
  readonly layout: StoreLayout;
  readonly now: () => number;
  readonly meterProvider?: MeterProvider | undefined;
  readonly onEvent?: LazyEventListener | undefined;
  /** Opens the place that an image came from */
  openOrigin(record: ImageRecord): Promise<ImageSource>;
}

/** A Nydus image to take into the store. */
interface NydusPull extends Abortable {
  readonly source: ImageSource;
  readonly manifest: ManifestDocument;
  readonly names: readonly string[];
  readonly origin: string;
}

interface OpenReaderOptions {
  /**
   * What is kept of the order of reads, for the next run: that of a program that starts is worth it, that of one who reads
   * everything is not. @default "first-reads"
   */
  readonly records?: "first-reads" | "nothing" | undefined;
}

/** Images whose files are fetched when they are read. */
export interface LazyImages {
  /** Fetches an image's metadata only. @returns its id and its bootstrap's */
  add(pull: NydusPull): Promise<{ readonly imageId: string; readonly bootstrapId: string }>;
  /** Whether bytes of the image may still have to be fetched. */
  isLazy(bootstrapId: string): boolean;
  /** Reads the image's files, and fetches what is missing; what was read first last time is fetched ahead. */
  openReader(record: ImageRecord, options?: OpenReaderOptions): Promise<LazyBlobReader>;
  /** Fetches everything that is missing of an image. */
  complete(record: ImageRecord, options?: Abortable): Promise<void>;
  /** Files of blobs that are complete, so that a kernel can use them; `undefined` when any is not. */
  completeDevices(record: ImageRecord): Promise<readonly string[] | undefined>;
  /** Deletes what was fetched of blobs that the store does not know any more. */
  clean(): Promise<void>;
}

export function lazyImages(options: LazyImagesOptions): LazyImages {
  const { database, layout, now } = options;
  const directory = layout.lazyDirectory;

  const prefetchPath = (bootstrapId: string): string => join(directory, `${bootstrapId}.prefetch`);

  async function open(record: ImageRecord, isRecorded: boolean): Promise<LazyBlobReader> {
    const bootstrap = await readFile(layout.blobPath(record.bootstrapId));
    const document = parseManifest(Buffer.from(record.manifest), undefined, record.manifestDigest);
    if (document.kind !== "manifest") throw notLazy(record);
    const source = await options.openOrigin(record);
    const path = prefetchPath(record.bootstrapId);
    const previous = await readPrefetchList(path);
    const recorder = isRecorded ? accessRecorder({ path, previous }) : undefined;
    const reader = lazyBlobReader({
      directory,
      blobs: nydusBlobs({
        source,
        layout: parseNydusManifest(document.manifest),
        layer: { bootstrap, blobMetas: new Map() },
      }),
      recorder,
      onEvent: options.onEvent,
      meterProvider: options.meterProvider,
    });
    const ended = new AbortController();
    if (isRecorded && previous !== undefined) {
      // Whoever reads meanwhile comes first, and finds out what is wrong.
      reader.prefetch(previous, { signal: ended.signal }).catch(() => undefined);
    }
    return {
      ...reader,
      async [Symbol.asyncDispose]() {
        ended.abort();
        await reader[Symbol.asyncDispose]();
        await recorder?.[Symbol.asyncDispose]();
        await source[Symbol.asyncDispose]();
      },
    };
  }

  return {
    async add({ source, manifest, names, origin, signal }) {
      const parts = parseNydusManifest(manifest.manifest);
      const configDescriptor = manifest.manifest.config;
      const config = await readAll(
        source.openBlob(configDescriptor, { signal }),
        maxConfigBytes,
        () => new LongshoreError("VALIDATION_ERROR", "The image's configuration is too large."),
      );
      parseImageConfigFile(config);
      const layer = await readBootstrapLayer(source.openBlob(parts.bootstrap, { signal }), {
        mediaType: parts.bootstrap.mediaType,
        signal,
      });
      const { fileBytes, inodes } = validateRafs(layer.bootstrap);
      const { blobs } = openBootstrap(layer.bootstrap);
      const bootstrapId = createHash("sha256").update(layer.bootstrap).digest("hex");
      for (const { id } of blobs) {
        const meta = layer.blobMetas.get(id);
        if (meta !== undefined) await writeWhole(lazyFiles(directory, id).meta, meta);
      }
      await using ingest = await layout.createIngest();
      await fileSink(ingest.file).write(layer.bootstrap);
      await ingest.install(bootstrapId);
      const size = layer.bootstrap.length;
      database.addImage({
        image: {
          imageId: configDescriptor.digest,
          bootstrapId,
          manifestDigest: manifest.descriptor.digest,
          manifest: manifest.bytes.toString("utf8"),
          config: config.toString("utf8"),
          logicalSize: fileBytes,
          inodeCount: inodes,
          pulledAtMs: now(),
          origin,
        },
        names,
        blobs: [
          { blobId: bootstrapId, kind: "bootstrap", dataSize: size, storedSize: size },
          ...blobs.map((info) => ({
            blobId: info.id,
            kind: "remote" as const,
            dataSize: info.uncompressedSize,
            storedSize: info.compressedSize,
            info,
          })),
        ],
        blobIds: blobs.map(({ id }) => id),
      });
      return { imageId: configDescriptor.digest, bootstrapId };
    },
    isLazy: (bootstrapId) => database.blobsOf(bootstrapId).some(({ kind }) => kind === "remote"),
    openReader: (record, { records = "first-reads" } = {}) => open(record, records !== "nothing"),
    async complete(record, { signal } = {}) {
      await using reader = await open(record, false);
      for (const { blobId, kind } of database.blobsOf(record.bootstrapId)) {
        if (kind === "remote") await reader.complete(blobId, { signal });
      }
    },
    async completeDevices(record) {
      await using reader = await open(record, false);
      const devices: string[] = [];
      for (const id of await fetchDeviceIds(layout.blobPath(record.bootstrapId))) {
        const { isComplete, dataPath } = await reader.status(id);
        if (!isComplete) return undefined;
        devices.push(dataPath);
      }
      return devices;
    },
    async clean() {
      const known = new Set(database.blobs().map(({ blobId }) => blobId));
      const names = await readdir(directory).catch(() => []);
      await removeDrafts(directory);
      for (const id of new Set(names.map((name) => name.slice(0, name.indexOf("."))))) {
        if (!/^[0-9a-f]{64}$/.test(id) || known.has(id)) continue;
        await removeLazyFiles(directory, id);
        await rm(prefetchPath(id), { force: true });
      }
    },
  };
}

function notLazy({ imageId }: ImageRecord): LongshoreError {
  return new LongshoreError("INTERNAL_ERROR", `The image ${imageId} is not loaded on demand.`);
}
