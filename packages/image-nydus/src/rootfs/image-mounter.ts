import { open } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Abortable, Logger, RootfsIdMappings } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
import { mountFuse } from "../fuse/mount-fuse.ts";
import { mountErofs } from "../mount/mount-erofs.ts";
import { mountNydusd } from "../mount/mount-nydusd.ts";
import type { MountMethod, MountProbe } from "../mount/probe-mounts.ts";
import type { StoreLayout } from "../store/store-layout.ts";
import { moduleBeside } from "../thread/start-thread.ts";
import type { ImageMountMethod, MountableImage } from "./mountable-image.ts";

export interface ImageMounterOptions {
  readonly layout: StoreLayout;
  readonly logger: Logger;
  /** Best first */
  readonly methods: readonly ImageMountMethod[];
  /** @param triesShifts whether shifted owners are wanted: to try them takes as long as all else */
  probe(triesShifts: boolean): Promise<readonly MountProbe[]>;
  /** Files of a mounted image could not be read */
  onReadError?(bootstrapId: string, error: unknown): void;
}

/** A mount that this process keeps up. */
interface ServedMount extends AsyncDisposable {
  /** Resolves when nothing is served any more, also after somebody else unmounted it; rejects when the server broke */
  readonly ended: Promise<void>;
}

interface MountHow extends Abortable {
  /** @default that of `methodFor` */
  readonly method?: ImageMountMethod | undefined;
}

/** Mounts images by whatever works here. */
export interface ImageMounter {
  /** The method for an image; `undefined` when there is none. */
  methodFor(
    image: MountableImage,
    idMappings?: RootfsIdMappings,
  ): Promise<ImageMountMethod | undefined>;
  /** @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` when there is none */
  methodOf(image: MountableImage, idMappings?: RootfsIdMappings): Promise<ImageMountMethod>;
  /** Resolves with `undefined` for a mount that the kernel keeps without this process. */
  mount(image: MountableImage, target: string, how: MountHow): Promise<ServedMount | undefined>;
}

export function imageMounter(options: ImageMounterOptions): ImageMounter {
  const { layout, methods, logger } = options;

  /** Why a method that works here does not do for an image. */
  function whyNot({ openReader }: MountableImage): string {
    return openReader === undefined
      ? "it works here, but not for this"
      : "it needs all of the image, which is loaded on demand and not all here";
  }

  /** Whether a method can get at the bytes of an image. */
  function canRead(method: ImageMountMethod, { devices, openReader }: MountableImage): boolean {
    if (method === "fuse") return true;
    if (openReader !== undefined) return false;
    // What was loaded on demand lies there as the kernel takes it, not as nydusd does.
    const isOurs = (path: string): boolean => dirname(path) === layout.blobDirectory;
    return method !== "nydusd" || devices.every(isOurs);
  }

  async function methodFor(
    image: MountableImage,
    idMappings?: RootfsIdMappings,
  ): Promise<ImageMountMethod | undefined> {
    const probes = await options.probe(idMappings !== undefined);
    const isAble = ({ available, shiftsIds }: MountProbe): boolean =>
      available && (idMappings === undefined || shiftsIds === true);
    return methods.find(
      (method) =>
        canRead(method, image) && probes.some((probe) => probe.method === method && isAble(probe)),
    );
  }

  async function unsupported(
    image: MountableImage,
    idMappings: RootfsIdMappings | undefined,
  ): Promise<LongshoreError> {
    const probes = await options.probe(idMappings !== undefined);
    const wanted: readonly MountMethod[] =
      idMappings === undefined ? methods : [...methods, "idmap"];
    const reasons = probes
      .filter(({ method }) => wanted.includes(method))
      .map(({ method, available, reason, fix }) => {
        const isOther = available && method !== "idmap";
        return isOther ? { method, reason: whyNot(image) } : { method, reason, fix };
      });
    const how = idMappings === undefined ? "" : " with shifted owners";
    return new LongshoreError(
      "RUNTIME_NOT_SUPPORTED",
      `Images cannot be mounted${how} here: ${reasons.map(({ method, reason }) => `${method}: ${reason}`).join("; ")}`,
      { details: { methods: reasons } },
    );
  }

  async function methodOf(
    image: MountableImage,
    idMappings?: RootfsIdMappings,
  ): Promise<ImageMountMethod> {
    const method = await methodFor(image, idMappings);
    if (method === undefined) throw await unsupported(image, idMappings);
    return method;
  }

  async function mount(
    image: MountableImage,
    target: string,
    { signal, ...how }: MountHow,
  ): Promise<ServedMount | undefined> {
    const method = how.method ?? (await methodOf(image));
    const { bootstrapId, devices } = image;
    logger.debug({ bootstrapId, method, target }, "image mounting");
    if (method === "fuse") return mountByFuse(image, target, { signal });
    if (method === "nydusd") {
      const [bootstrap, root] = [layout.blobPath(bootstrapId), nydusdDirectory(layout)];
      return mountNydusd({ bootstrap, blobs: devices, target, root, signal });
    }
    await mountErofs({
      bootstrap: layout.blobPath(bootstrapId),
      devices,
      target,
      backing: method === "erofs-loop" ? "loop" : "files",
      signal,
    });
    return undefined;
  }

  async function mountByFuse(
    { bootstrapId, devices, openReader }: MountableImage,
    target: string,
    { signal }: Abortable,
  ): Promise<ServedMount> {
    const input = await readShared(layout.blobPath(bootstrapId));
    const reader = await openReader?.();
    try {
      const mounted = await mountFuse({
        filesystem: {
          module: moduleBeside(import.meta.url, "./open-shared-bootstrap"),
          function: "openSharedBootstrap",
          input,
        },
        blobs: reader ?? layout.blobDirectory,
        heldBlobs: blobFiles(devices),
        target,
        signal,
        onReadError: ({ error }) => {
          logger.error({ err: error, bootstrapId }, "a file of an image could not be read");
          options.onReadError?.(bootstrapId, error);
        },
      });
      return {
        ended: mounted.closed,
        async [Symbol.asyncDispose]() {
          await mounted[Symbol.asyncDispose]();
          await reader?.[Symbol.asyncDispose]();
        },
      };
    } catch (error) {
      await reader?.[Symbol.asyncDispose]();
      throw error;
    }
  }

  return { methodFor, methodOf, mount };
}

/** Where daemons of Nydus work. */
export function nydusdDirectory({ mountDirectory }: StoreLayout): string {
  return join(mountDirectory, "nydusd");
}

/** Files of an image's blobs by the blobs' ids, with which their names begin. */
export function blobFiles(devices: readonly string[]): ReadonlyMap<string, string> {
  return new Map(devices.map((path) => [basename(path).slice(0, 64), path]));
}

/** The file in memory that threads share. */
async function readShared(path: string): Promise<SharedArrayBuffer> {
  await using file = await open(path, "r");
  const { size } = await file.stat();
  const shared = new SharedArrayBuffer(size);
  const bytes = Buffer.from(shared);
  for (let position = 0; position < size;) {
    const { bytesRead } = await file.read(bytes, position, size - position, position);
    if (bytesRead === 0) throw new LongshoreError("IO_ERROR", `${path} ends at ${position}.`);
    position += bytesRead;
  }
  return shared;
}
