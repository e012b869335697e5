/**
 * A root filesystem as it can be used, not as it must be: a driver for host containers mounts it, a driver for VMs hands
 * its devices or directories to the guest.
 */
export type Rootfs = DirectoryRootfs | OverlayRootfs | BlockRootfs;

/** A directory that holds all files. */
export interface DirectoryRootfs {
  readonly kind: "directory";
  readonly path: string;
  readonly readonly: boolean;
}

/** Read-only directories laid over each other, and one on top that takes the changes. */
export interface OverlayRootfs {
  readonly kind: "overlay";
  /** Topmost first; mounted already, never written to */
  readonly lower: readonly string[];
  /** Absent: the root filesystem is read-only */
  readonly upper?: WritableLayer | undefined;
}

/** Where an overlay keeps changes. Both on one filesystem. */
export interface WritableLayer {
  readonly upperDir: string;
  readonly workDir: string;
}

/** Block devices, or image files that can serve as such, laid over each other. */
export interface BlockRootfs {
  readonly kind: "block";
  /** Topmost first; all but the writable one are only read */
  readonly devices: readonly RootfsDevice[];
  /** Filesystem for the changes; absent: they go to memory or a layer that the driver makes */
  readonly writable?: RootfsDevice | undefined;
}

export interface RootfsDevice {
  /** Block device or image file on the host */
  readonly path: string;
  readonly filesystem: "erofs" | "ext4" | "squashfs" | "xfs";
  /** Further devices that hold its data, in the order of the filesystem's device table */
  readonly dataDevices?: readonly string[] | undefined;
  readonly mountOptions?: readonly string[] | undefined;
}
