import type { Abortable } from "../abortable.ts";
import type { IdMapping } from "../runtime/security-context.ts";
import type { ImageConfig } from "./image-config.ts";
import type { Rootfs } from "./rootfs.ts";

/** The ids of a user namespace: what is not mapped belongs to nobody there. */
export interface RootfsIdMappings {
  /** One to 340, without overlaps on either side */
  readonly uids: readonly IdMapping[];
  readonly gids: readonly IdMapping[];
}

export interface PrepareRootfsOptions extends Abortable {
  /** @default false (the owner may write; changes are gone with the release) */
  readonly readonly?: boolean | undefined;
  /** Kinds the user can take, best first. @default ["overlay", "directory"] */
  readonly accept?: readonly Rootfs["kind"][] | undefined;
  /**
   * Ids of the user namespace that the root filesystem is for: seen from there, its files belong to whom they belong to in
   * the image. On the host they belong to the mapped ids, and so does what is written. @default no namespace
   */
  readonly idMappings?: RootfsIdMappings | undefined;
}

/** A root filesystem of one owner. Disposing releases it, as `releaseRootfs` does. */
export interface PreparedRootfs extends AsyncDisposable {
  /** Same text as `Image.id` */
  readonly imageId: string;
  readonly config: ImageConfig;
  readonly rootfs: Rootfs;
}

/**
 * Turns images of the store into root filesystems. Read-only parts are shared between owners, what is written is not.
 *
 * While a root filesystem is held, its image's data stays, even when the image is removed from the store.
 */
export interface RootfsProvider {
  /**
   * Prepares a root filesystem for an owner. Calling again for the same owner and image gives the same one, with what was
   * written: that is how an owner finds its own after a restart. When it rejects or is aborted, nothing stays.
   *
   * @param ref name, digest or id of an image in the store
   * @param owner names who holds it, e.g. a container id
   * @throws {LongshoreError} `IMAGE_NOT_FOUND`; `STATE_CONFLICT` when the owner holds another image's, or one with other id
   *   mappings; `VALIDATION_ERROR` for mappings that are none; `RUNTIME_NOT_SUPPORTED` when none of the accepted kinds can
   *   be made here; `IO_ERROR`
   */
  prepareRootfs(
    ref: string,
    owner: string,
    options?: PrepareRootfsOptions,
  ): Promise<PreparedRootfs>;
  /** Unmounts and removes what the owner holds, with its changes. Idempotent; unknown owners are no error. */
  releaseRootfs(owner: string, options?: Abortable): Promise<void>;
  /** Everyone who holds a root filesystem, also from before a restart; release those you do not know. */
  listOwners(options?: Abortable): Promise<readonly string[]>;
}
