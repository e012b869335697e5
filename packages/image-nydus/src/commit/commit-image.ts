import type { FileHandle } from "node:fs/promises";
import type { CommitRootfsOptions } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
import type { BlobReader } from "../mount/blob-reader.ts";
import { localBlobReader } from "../mount/local-blob-reader.ts";
import { chunkSource } from "../publish/chunk-source.ts";
import { packLayer, type PackedLayer } from "../publish/pack-layer.ts";
import { rewriteConfig } from "../publish/rewrite-config.ts";
import { rootfsTar } from "../publish/rootfs-tar.ts";
import { fileSink, type ByteSink } from "../rafs/byte-sink.ts";
import { openBootstrap } from "../rafs/open-bootstrap.ts";
import { writePackedBootstrap } from "../rafs/write-packed-bootstrap.ts";
import { digestOf } from "../registry/digest.ts";
import { mediaTypes } from "../registry/media-types.ts";
import { parseReference } from "../registry/reference.ts";
import { acquireLease } from "../store/acquire-lease.ts";
import { storedName } from "../store/find-image.ts";
import type { ImageDatabase } from "../store/image-database.ts";
import { taggedName } from "../store/image-names.ts";
import type { BlobRecord, ImageRecord } from "../store/image-records.ts";
import { asIoError } from "../store/io-error.ts";
import type { LazyImages } from "../store/lazy-images.ts";
import { openStoredBootstrap } from "../store/open-stored-bootstrap.ts";
import type { StoreLayout } from "../store/store-layout.ts";
import { dataRecord, findStoredChunk } from "../store/stored-data.ts";
import type { TreeLimits } from "../tree/file-tree.ts";
import { changeConfig } from "./change-config.ts";
import { commitOrigin } from "./commit-origin.ts";
import { committedTree, type ChangedFiles, type CommittedTree } from "./committed-tree.ts";

export interface CommitContext {
  readonly database: ImageDatabase;
  readonly layout: StoreLayout;
  readonly lazy: LazyImages;
  readonly limits?: Partial<TreeLimits> | undefined;
  readonly now: () => number;
}

export interface CommitRequest {
  /** The image that the files were made of, with the metadata that their owner uses */
  readonly base: ImageRecord;
  readonly changes: ChangedFiles;
  readonly options: Omit<CommitRootfsOptions, "signal">;
  readonly signal: AbortSignal;
}

/**
 * Makes an image out of another one and what was changed in its files. It has the configuration and the one layer that it
 * is pushed with, so that it has the same id wherever it is pulled from afterwards.
 *
 * @returns the image's id
 * @throws {LongshoreError} `VALIDATION_ERROR`, `IO_ERROR`; what reading the files throws
 */
export async function commitImage(context: CommitContext, request: CommitRequest): Promise<string> {
  const name = nameOf(request.options.reference);
  try {
    return await commit(context, request, name);
  } catch (error) {
    throw asIoError(error, `commit ${name}`);
  }
}

function nameOf(text: string): string {
  const reference = parseReference(text);
  if (reference.digest === undefined) return storedName(reference);
  throw new LongshoreError("VALIDATION_ERROR", `${text} has a digest: nobody can choose that.`, {
    details: { field: "reference", expected: "a name without a digest" },
  });
}

async function commit(
  context: CommitContext,
  { base, changes, options, signal }: CommitRequest,
  name: string,
): Promise<string> {
  const { database, layout, lazy, limits, now } = context;
  const nowMs = now();
  // Before anything is read: what is wrong with it shows at once.
  const changedConfig = changeConfig(Buffer.from(base.config), {
    ...options,
    created: new Date(nowMs).toISOString(),
  });
  // Nothing that the new image leans on is collected meanwhile.
  using _lease = await acquireLease(database, `commit ${name}`, signal);
  await using data = await layout.createIngest();
  await using metadata = await layout.createIngest();
  await using reader = await openReader(context, base);
  const committed = await committedTree(
    {
      filesystem: await openStoredBootstrap(layout, base.bootstrapId),
      blobs: reader,
      isLazy: lazy.isLazy(base.bootstrapId),
    },
    changes,
    { data: data.file, findChunk: findStoredChunk(context), limits, signal },
  );
  const bootstrap = await writeMetadata(context, committed, { metadata, signal });
  const layer = await describeLayer(committed, {
    metadata,
    data,
    reader: localReader(context),
    signal,
  });
  const { descriptor: config, bytes } = rewriteConfig(changedConfig, [
    { diffId: layer.diffId, comment: "All files of the image" },
  ]);
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config,
    layers: [layer.descriptor],
  });
  // From here on the store changes: what has begun is finished.
  signal.throwIfAborted();
  const { blob, reusedBlobIds, logicalSize, inodeCount } = committed;
  if (blob !== undefined) {
    await data.install(blob.id);
    database.addBlob(dataRecord(blob));
    await database.addChunks(blob.id, committed.tree.chunks.inBlob(blob.name));
  }
  await metadata.install(bootstrap.blobId);
  database.addImage({
    image: {
      imageId: config.digest,
      bootstrapId: bootstrap.blobId,
      manifestDigest: digestOf(Buffer.from(manifest)),
      manifest,
      config: bytes.toString("utf8"),
      logicalSize,
      inodeCount,
      pulledAtMs: nowMs,
      origin: commitOrigin(base.imageId),
    },
    names: [name],
    blobs: [bootstrap],
    blobIds: [...(blob === undefined ? [] : [blob.id]), ...reusedBlobIds],
  });
  const tagged = taggedName(name);
  if (tagged !== undefined) {
    await layout.links.link({
      name: tagged,
      imageId: config.digest,
      bootstrapId: bootstrap.blobId,
    });
  }
  return config.digest;
}

type IngestFile = Awaited<ReturnType<StoreLayout["createIngest"]>>;

interface MetadataPlace {
  readonly metadata: IngestFile;
  readonly signal: AbortSignal;
}

async function writeMetadata(
  { database }: CommitContext,
  { tree, blob, chunkSize, reusedBlobIds }: CommittedTree,
  { metadata, signal }: MetadataPlace,
): Promise<BlobRecord> {
  const reused = reusedBlobIds.map((blobId) => {
    const info = database.blob(blobId)?.info;
    if (info !== undefined) return info;
    throw new LongshoreError("INTERNAL_ERROR", `The store knows nothing of blob ${blobId}.`);
  });
  const { digest, size } = await writePackedBootstrap(
    fileSink(metadata.file),
    { tree, chunkSize, blobs: [...(blob === undefined ? [] : [blob]), ...reused] },
    { signal },
  );
  return { blobId: digest, kind: "bootstrap", dataSize: size, storedSize: size };
}

interface NewFiles extends MetadataPlace {
  readonly data: IngestFile;
  readonly reader: BlobReader & Disposable;
}

const nowhere: ByteSink = { write: () => Promise.resolve() };

/** The layer that a push makes of the image, without keeping it. */
async function describeLayer(
  { blob }: CommittedTree,
  { metadata, data, signal, ...files }: NewFiles,
): Promise<PackedLayer> {
  using local = files.reader;
  const filesystem = openBootstrap(await readAll(metadata.file));
  const reader: BlobReader = {
    async read(blobId, offset, target) {
      if (blobId !== blob?.id) return local.read(blobId, offset, target);
      await readAt(data.file, target, offset);
    },
  };
  const tar = rootfsTar(filesystem, chunkSource(reader, filesystem), { signal });
  return await packLayer(tar, nowhere, "none");
}

async function readAll(file: FileHandle): Promise<Buffer> {
  const bytes = Buffer.alloc((await file.stat()).size);
  await readAt(file, bytes, 0);
  return bytes;
}

async function readAt(file: FileHandle, target: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < target.length;) {
    const { bytesRead } = await file.read(target, done, target.length - done, offset + done);
    if (bytesRead === 0) throw new LongshoreError("IO_ERROR", "A file of the store is cut off.");
    done += bytesRead;
  }
}

function localReader({ layout }: CommitContext): BlobReader & Disposable {
  return localBlobReader(layout.blobDirectory);
}

async function openReader(
  context: CommitContext,
  base: ImageRecord,
): Promise<BlobReader & AsyncDisposable> {
  if (context.lazy.isLazy(base.bootstrapId)) {
    return context.lazy.openReader(base, { records: "nothing" });
  }
  const local = localReader(context);
  return {
    read: local.read,
    [Symbol.asyncDispose]() {
      local[Symbol.dispose]();
      return Promise.resolve();
    },
  };
}
