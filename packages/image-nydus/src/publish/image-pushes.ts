import type { Logger } from "@longshore/core";
import { parseImageSource } from "../registry/image-location.ts";
import { sharedTasks } from "../store/shared-task.ts";
import {
  pushImage,
  type NydusPushForm,
  type PushAccess,
  type PushContext,
  type PushedImage,
  type PushOptions,
} from "./push-image.ts";
import type { PushProgress } from "./push-progress.ts";

export type ConvertOptions = PushAccess & Omit<NydusPushForm, "form">;

/** Writes images of a store elsewhere. */
export interface ImagePushes {
  /**
   * Writes an image elsewhere: to a registry, or to `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME]`.
   * The same image gives the same bytes. Equal pushes at the same time are one.
   *
   * @throws {LongshoreError} `IMAGE_NOT_FOUND`, `REGISTRY_AUTH_FAILED`; `IMAGE_CHECKSUM_MISMATCH` when the store is damaged;
   *   `STATE_CONFLICT` when the name stands for something else than the image to attach to; `VALIDATION_ERROR`
   */
  push(ref: string, target: string, options?: PushOptions): Promise<PushedImage>;
  /** Pushes an image in Nydus' form. @throws {LongshoreError} as `push` */
  convert(ref: string, target: string, options?: ConvertOptions): Promise<PushedImage>;
}

export interface ImagePushesOptions extends PushContext {
  readonly logger: Logger;
  /** Throws when the store is closed */
  assertOpen(): void;
}

/** The pushes of one store. `end` aborts what is under way and resolves when it has ended. */
export function imagePushes(
  options: ImagePushesOptions,
): ImagePushes & { end(reason: Error): Promise<void> } {
  const { logger, assertOpen } = options;
  const tasks = sharedTasks<PushedImage, PushProgress>();

  async function push(
    ref: string,
    place: string,
    { auth, signal, onProgress, ...form }: PushOptions = {},
  ): Promise<PushedImage> {
    assertOpen();
    const target = parseImageSource(place);
    const key = JSON.stringify([ref, target, form, auth ?? null]);
    return tasks.run(key, { signal, onProgress }, async (shared) => {
      const pushed = await pushImage(options, { ref, target, form, auth, ...shared });
      logger.info({ image: ref, target: pushed.name, digest: pushed.digest }, "image pushed");
      return pushed;
    });
  }

  return {
    push,
    convert: (ref, target, how) => push(ref, target, { ...how, form: "nydus" }),
    end: (reason) => tasks.end(reason),
  };
}
