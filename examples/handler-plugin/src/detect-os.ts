import { isLongshoreError } from "@longshore/core";
import type { DiskReader } from "./disk-reader.ts";
import { openExtFilesystem } from "./ext-filesystem.ts";
import type { Filesystem } from "./filesystem.ts";
import type { OperatingSystem } from "./inspect-report.ts";
import { parseOsRelease } from "./os-release.ts";

/** A filesystem that was found, and where. */
export interface Volume {
  /** Number of the partition; 0 for the disk as a whole */
  readonly partition: number;
  readonly disk: DiskReader;
  readonly filesystem: Filesystem;
}

/** An operating system, nothing, or why nobody could look. */
export type OsSearch =
  | { readonly kind: "found"; readonly system: OperatingSystem }
  | { readonly kind: "none" }
  | { readonly kind: "not-searched"; readonly reason: string };

const maxOsReleaseBytes = 65_536;
const readableTypes: ReadonlySet<string> = new Set(["ext2", "ext3", "ext4"]);
/** Types without files of an installed system: nothing is missed by not looking */
const emptyTypes: ReadonlySet<string> = new Set(["swap", "jbd"]);

/** Looks for an operating system in one filesystem. */
export async function detectOs(volume: Volume): Promise<OsSearch> {
  const { type } = volume.filesystem;
  if (emptyTypes.has(type)) return { kind: "none" };
  if (!readableTypes.has(type)) {
    return { kind: "not-searched", reason: `reading files of ${type} is not supported` };
  }
  try {
    const filesystem = await openExtFilesystem(volume.disk);
    const content =
      (await filesystem.readFile("/etc/os-release", maxOsReleaseBytes)) ??
      (await filesystem.readFile("/usr/lib/os-release", maxOsReleaseBytes));
    if (content === undefined) return { kind: "none" };
    const hostname = await filesystem.readFile("/etc/hostname", 1_024);
    return { kind: "found", system: toSystem(volume.partition, content, hostname) };
  } catch (error) {
    // One broken filesystem says nothing about the others.
    if (!isLongshoreError(error) || error.code !== "DISK_UNREADABLE") throw error;
    return { kind: "not-searched", reason: error.message };
  }
}

function toSystem(partition: number, content: Buffer, hostname?: Buffer): OperatingSystem {
  const release = parseOsRelease(content.toString("utf8"));
  const name = hostname?.toString("utf8").trim();
  return {
    partition,
    // What os-release(5) says an absent ID means.
    id: release["id"] ?? "linux",
    name: release["name"],
    pretty_name: release["pretty_name"],
    version_id: release["version_id"],
    ...(name !== undefined && name !== "" && { hostname: name }),
    os_release: release,
  };
}
