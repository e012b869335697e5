import type { ImageSpec } from "../image/image.ts";
import type { IdMapping } from "./security-context.ts";

/** Whether mounts made on one side show on the other: never, from host to container, both ways. */
export type MountPropagation = "private" | "hostToContainer" | "bidirectional";

/** A host directory, file or image shown in a container. */
export interface Mount {
  readonly containerPath: string;
  /** Symbolic links are followed; must exist; empty with `image` */
  readonly hostPath: string;
  /** @default false */
  readonly readonly?: boolean | undefined;
  readonly selinuxRelabel?: boolean | undefined;
  /** @default "private" */
  readonly propagation?: MountPropagation | undefined;
  readonly uidMappings?: readonly IdMapping[] | undefined;
  readonly gidMappings?: readonly IdMapping[] | undefined;
  /** Needs `readonly` and private propagation */
  readonly recursiveReadOnly?: boolean | undefined;
  /** Mounts an image's files instead of a host path; needs `readonly` */
  readonly image?: ImageSpec | undefined;
  /** Directory inside the image; may not leave it */
  readonly imageSubPath?: string | undefined;
  /** Of `noexec`, `nodev`, `nosuid` */
  readonly mountOptions?: readonly string[] | undefined;
}

/** A host device shown in a container. */
export interface Device {
  readonly containerPath: string;
  /** A directory means every device in it */
  readonly hostPath: string;
  /** Letters of `rwm` */
  readonly permissions: string;
}

/** A device of the Container Device Interface, e.g. `vendor.com/gpu=0`. */
export interface CdiDevice {
  readonly name: string;
}
