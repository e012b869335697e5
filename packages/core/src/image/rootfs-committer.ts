import type { Abortable } from "../abortable.ts";

/** Changes to what an image says about its processes; what is absent stays as it is. */
export interface ImageConfigChanges {
  /** Empty: root */
  readonly user?: string | undefined;
  /** `KEY=value`; take the place of those with the same key, and come behind the others */
  readonly env?: readonly string[] | undefined;
  readonly entrypoint?: readonly string[] | undefined;
  readonly cmd?: readonly string[] | undefined;
  /** Absolute; empty: none */
  readonly workingDir?: string | undefined;
  readonly stopSignal?: string | undefined;
  /** Take the place of those with the same name, and come behind the others */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** `80/tcp`; come behind the others */
  readonly exposedPorts?: readonly string[] | undefined;
  /** Come behind the others */
  readonly volumes?: readonly string[] | undefined;
}

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
