export type {
  ByteString,
  ChunkRef,
  DeviceInode,
  DeviceNumber,
  DirectoryInode,
  FileAttributes,
  FileInode,
  FileKind,
  FileTime,
  Inode,
  PipeInode,
  SymlinkInode,
} from "./tree/inode.ts";
export { fromByteString, toByteString } from "./tree/inode.ts";
export type {
  DirectoryEntry,
  FileStat,
  ImageBlob,
  ReadableFilesystem,
} from "./rafs/readable-filesystem.ts";
export type { BlobReader } from "./mount/blob-reader.ts";
export { localBlobReader, type LocalBlobReader } from "./mount/local-blob-reader.ts";
export { mountFuse } from "./fuse/mount-fuse.ts";
export type { FuseMount, FuseReadError, MountFuseOptions } from "./fuse/mount-fuse.ts";
export type { FilesystemSource } from "./fuse/filesystem-source.ts";
export { mountErofs, type MountErofsOptions } from "./mount/mount-erofs.ts";
export { mountOverlay, type MountOverlayOptions } from "./mount/mount-overlay.ts";
export { mountIdmapped, type MountIdmappedOptions } from "./mount/mount-idmapped.ts";
export { unmount, type UnmountOptions } from "./mount/unmount.ts";
export { unmountImage } from "./mount/unmount-image.ts";
export { isMounted } from "./mount/mounted-at.ts";
export { probeMounts } from "./mount/probe-mounts.ts";
export type { MountMethod, MountProbe, ProbeMountsOptions } from "./mount/probe-mounts.ts";
export { extractTree } from "./mount/extract-tree.ts";
export type { ExtractReport, ExtractTreeOptions } from "./mount/extract-tree.ts";
export { mountRecords, type MountRecords } from "./mount/mount-records.ts";
export { readBlobMeta } from "./rafs/blob-meta.ts";
export type { BlobMeta, ReadBlobMetaOptions } from "./rafs/blob-meta.ts";
export { readToc } from "./rafs/blob-toc.ts";
export type { BlobToc, TocEntry } from "./rafs/blob-toc.ts";
export { blobWriter } from "./rafs/blob-writer.ts";
export type { BlobWriter, BlobWriterOptions, FinishedBlob } from "./rafs/blob-writer.ts";
export type { BootstrapBlob, BootstrapImage } from "./rafs/bootstrap-image.ts";
export { fileSink } from "./rafs/byte-sink.ts";
export type { ByteSink } from "./rafs/byte-sink.ts";
export type { StoredChunk } from "./rafs/chunk-info.ts";
export { decodeChunk } from "./rafs/decode-chunk.ts";
export type { ChunkExpectation } from "./rafs/decode-chunk.ts";
export { openBootstrap } from "./rafs/open-bootstrap.ts";
export type { RafsFilesystem } from "./rafs/open-bootstrap.ts";
export type { RafsRule } from "./rafs/rafs-fault.ts";
export { validateRafs } from "./rafs/validate-rafs.ts";
export type { RafsSummary, ValidateRafsOptions } from "./rafs/validate-rafs.ts";
export { writeBootstrap } from "./rafs/write-bootstrap.ts";
export type { WrittenBootstrap } from "./rafs/write-packed-bootstrap.ts";

export { openNydusImageStore } from "./open-nydus-image-store.ts";
export type {
  ImageDetails,
  ImageMount,
  NydusImageStore,
  NydusImageStoreOptions,
} from "./nydus-image-store.ts";
export type { NydusAttachment } from "./publish/attach-nydus.ts";
export type { ConvertOptions, ImagePushes } from "./publish/image-pushes.ts";
export type { LayerCompression } from "./publish/pack-layer.ts";
export type {
  NydusPushForm,
  PushAccess,
  PushedImage,
  PushForm,
  PushOptions,
} from "./publish/push-image.ts";
export type { PushProgress } from "./publish/push-progress.ts";
export type { ImageMountMethod } from "./rootfs/mountable-image.ts";
export type { CollectedGarbage } from "./store/collect-garbage.ts";
export type { DiskUsage, ImageUsage } from "./store/disk-usage.ts";
export type { ImageDiff } from "./store/image-diff.ts";
export type { ImageRecord } from "./store/image-records.ts";
export type { RepairedImage, RepairReport } from "./store/repair-store.ts";
export type {
  BlobProblem,
  StoreReport,
  VerifyOptions,
  VerifyProgress,
} from "./store/verify-store.ts";
export type { TreeLimits } from "./tree/file-tree.ts";

export { accessRecorder } from "./lazy/access-recorder.ts";
export type { AccessRecorder, AccessRecorderOptions } from "./lazy/access-recorder.ts";
export { readBootstrapLayer } from "./lazy/bootstrap-layer.ts";
export type { BootstrapLayer, BootstrapLayerOptions } from "./lazy/bootstrap-layer.ts";
export type { FetchQueueOptions } from "./lazy/fetch-queue.ts";
export type { FetchRange, FetchRangeOptions, StoredRange } from "./lazy/fetch-range.ts";
export { findNydusManifest } from "./lazy/find-nydus-manifest.ts";
export type { FindNydusOptions, NydusDocuments } from "./lazy/find-nydus-manifest.ts";
export type { LazyBlobSource, LazyTuning } from "./lazy/lazy-blob-options.ts";
export { lazyBlobReader } from "./lazy/lazy-blob-reader.ts";
export type {
  LazyBlobReader,
  LazyBlobReaderOptions,
  LazyBlobStatus,
} from "./lazy/lazy-blob-reader.ts";
export type { LazyEvent, LazyEventListener } from "./lazy/lazy-event.ts";
export { removeLazyFiles } from "./lazy/lazy-files.ts";
export type { LazyStats } from "./lazy/lazy-metrics.ts";
export { nydusBlobs, type NydusBlobsOptions } from "./lazy/nydus-blobs.ts";
export { isNydusManifest, parseNydusManifest, type NydusLayout } from "./lazy/nydus-manifest.ts";
export { prefetchHints, type PrefetchHintsOptions } from "./lazy/prefetch-hints.ts";
export { readPrefetchList, writePrefetchList } from "./lazy/prefetch-list.ts";
export type { ChunkRun, PrefetchList } from "./lazy/prefetch-list.ts";
export type { ReadaheadOptions } from "./lazy/readahead.ts";
export type { RetryPolicy } from "./lazy/retry-policy.ts";
export type { VerifiedChunks } from "./lazy/verify-chunks.ts";
