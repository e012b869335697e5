export { formatReference, parseReference, type ImageReference } from "./reference.ts";
export { parseImageSource } from "./image-location.ts";
export type { ImageLocation, LocalImageLocation } from "./image-location.ts";
export { openImageSource, openImageTarget } from "./open-image-source.ts";
export type { OpenImageSourceOptions, OpenImageTargetOptions } from "./open-image-source.ts";
export { createRegistryClient } from "./client/registry-client.ts";
export type {
  RegistryAccessOptions,
  RegistryClient,
  RegistryTargetAccess,
} from "./client/registry-client.ts";
export type {
  RegistryClientOptions,
  RegistryHostOptions,
  RegistryTls,
} from "./client/client-options.ts";
export { copyImage, type CopyImageOptions } from "./copy-image.ts";
export type {
  BlobRange,
  ConfigDocument,
  ImageSource,
  ListReferrersOptions,
  OpenBlobOptions,
  ResolvedImage,
  ResolveOptions,
} from "./image-source.ts";
export type {
  BlobOutcome,
  ImageTarget,
  ManifestBytes,
  WriteBlobOptions,
  WriteManifestOptions,
} from "./image-target.ts";
export { parseManifest } from "./manifest.ts";
export type {
  AnyManifest,
  Descriptor,
  ImageIndex,
  ImageManifest,
  IndexDocument,
  ManifestDocument,
} from "./manifest.ts";
export { configPlatform, parseImageConfigFile } from "./image-config-file.ts";
export type {
  ImageConfigFile,
  ImageHistoryEntry,
  ImageProcessConfig,
} from "./image-config-file.ts";
export {
  isForeignLayerType,
  isImageConfigType,
  isIndexType,
  isManifestType,
  mediaTypes,
} from "./media-types.ts";
export { formatPlatform, hostPlatform, parsePlatform, type Platform } from "./platform.ts";
export { isDigest, parseDigest, type Digest } from "./digest.ts";
export { verifyBlob, type BlobStart } from "./verified-stream.ts";
export { layerDecompressor, sniffCompression } from "./layer-decompressor.ts";
export type {
  Compression,
  LayerDecompressor,
  LayerDecompressorOptions,
} from "./layer-decompressor.ts";
export { dockerCredentials } from "./auth/docker-credentials.ts";
export type { DockerCredentialsOptions } from "./auth/docker-credentials.ts";
export type { CredentialSource } from "./auth/credentials.ts";
