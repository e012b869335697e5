import type { Abortable } from "../abortable.ts";
import type { ImageConfigChanges } from "./image-config-changes.ts";

export interface CommitRootfsOptions extends Abortable {
  /** Full or short name of the new image, with or without a tag; an image that has it loses it */
  readonly reference: string;
  readonly config?: ImageConfigChanges | undefined;
  /** What the image's history says of it */
  readonly comment?: string | undefined;
  readonly author?: string | undefined;
}

/** Turns what owners of root filesystems have made of them into images; an ability that a `RootfsProvider` may have. */
export interface RootfsCommitter {
  /**
   * Makes an image of the owner's root filesystem as it is now: the image it was made of, and what was written. The owner
   * keeps it, and goes on. What is written meanwhile may be in the image or not; stop the writers for a defined state. When
   * it rejects or is aborted, nothing stays.
   *
   * @returns the id of the new image
   * @throws {LongshoreError} `NOT_FOUND` for an owner that holds none; `VALIDATION_ERROR` for a reference, a configuration or
   *   files that no image can have, and beyond the limits of images; `RUNTIME_NOT_SUPPORTED` for a root filesystem whose
   *   changes cannot be seen from here; `STATE_CONFLICT` when a file changes while it is read; `IO_ERROR`
   */
  commitRootfs(owner: string, options: CommitRootfsOptions): Promise<string>;
}
