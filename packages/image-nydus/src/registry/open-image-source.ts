import type { Abortable } from "@longshore/core";
import type { RegistryClientOptions } from "./client/client-options.ts";
import {
  createRegistryClient,
  type RegistryAccessOptions,
  type RegistryClient,
  type RegistryTargetAccess,
} from "./client/registry-client.ts";
import { parseImageSource, type ImageLocation, type LocalImageLocation } from "./image-location.ts";
import type { ImageSource } from "./image-source.ts";
import type { ImageTarget } from "./image-target.ts";
import { archiveFiles, type ArchiveOptions } from "./local/archive-files.ts";
import { directoryFiles } from "./local/directory-files.ts";
import { dockerArchiveTarget } from "./local/docker-archive-target.ts";
import { openDockerArchive } from "./local/docker-archive.ts";
import type { LocalImages } from "./local/local-images.ts";
import { localSource } from "./local/local-source.ts";
import { ociArchiveTarget } from "./local/oci-archive-target.ts";
import { ociLayoutTarget } from "./local/oci-layout-target.ts";
import { openOciLayout } from "./local/oci-layout.ts";

export interface OpenImageSourceOptions
  extends RegistryClientOptions, RegistryAccessOptions, ArchiveOptions {
  /** Client for registries; absent: one of its own with the options given here, closed with the source */
  readonly client?: RegistryClient | undefined;
}

export interface OpenImageTargetOptions
  extends RegistryClientOptions, RegistryTargetAccess, Abortable {
  /** Client for registries; absent: one of its own with the options given here, closed with the target */
  readonly client?: RegistryClient | undefined;
}

/**
 * Opens an image to read it, wherever it is: a reference, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]` or
 * `docker-archive:FILE[:REFERENCE]`. A registry is not asked before the first call.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`; `IMAGE_NOT_FOUND` for a directory or archive that is not there
 */
export async function openImageSource(
  source: string | ImageLocation,
  options: OpenImageSourceOptions = {},
): Promise<ImageSource> {
  const location = typeof source === "string" ? parseImageSource(source) : source;
  if (location.kind !== "registry")
    return localSource(await openLocal(location, options), location.tag);
  if (options.client !== undefined) return options.client.source(location.reference, options);
  const client = createRegistryClient(options);
  return withClient(client.source(location.reference, options), client);
}

/**
 * Opens a place to write an image to; the same names as for {@link openImageSource}.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`
 */
export async function openImageTarget(
  target: string | ImageLocation,
  options: OpenImageTargetOptions = {},
): Promise<ImageTarget> {
  const location = typeof target === "string" ? parseImageSource(target) : target;
  switch (location.kind) {
    case "oci":
      return ociLayoutTarget(location.path, location.tag);
    case "oci-archive":
      return ociArchiveTarget(location.path, location.tag);
    case "docker-archive":
      return dockerArchiveTarget(location.path, location.tag);
    case "registry": {
      if (options.client !== undefined) return options.client.target(location.reference, options);
      const client = createRegistryClient(options);
      return withClient(client.target(location.reference, options), client);
    }
    default:
      return location satisfies never;
  }
}

async function openLocal(
  location: LocalImageLocation,
  options: ArchiveOptions,
): Promise<LocalImages> {
  if (location.kind === "oci") return openOciLayout(directoryFiles(location.path));
  const files = await archiveFiles(location.path, options);
  return location.kind === "oci-archive" ? openOciLayout(files) : openDockerArchive(files, options);
}

/** The same, with a client that ends with it. */
function withClient<T extends AsyncDisposable>(opened: T, client: RegistryClient): T {
  return {
    ...opened,
    async [Symbol.asyncDispose]() {
      await opened[Symbol.asyncDispose]();
      await client[Symbol.asyncDispose]();
    },
  };
}
