import type { ContainerConfig, IdMapping, Mount } from "@longshore/core";
import { readFile, realpath } from "node:fs/promises";
import { isWithin, parseContainerPath } from "./container-path.ts";
import type { HostFacts } from "./host-facts.ts";
import { parseMountInfo, type MountInfo } from "./mount-info.ts";
import type { OciIdMapping, OciMount } from "./oci-spec.ts";
import { openInRoot, pathsInRoot } from "./open-in-root.ts";
import { invalid, unsupported } from "./spec-error.ts";

const maxMounts = 4_096;

/**
 * The mounts that a configuration asks for, in its order. Host paths are followed to what they name; container paths are
 * followed inside the root filesystem, so that no link of an image leads a mount elsewhere.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`, `RUNTIME_NOT_SUPPORTED`
 */
export async function userMounts(
  config: ContainerConfig,
  rootPath: string,
  host: HostFacts,
): Promise<readonly OciMount[]> {
  const mounts = config.mounts ?? [];
  if (mounts.length === 0) return [];
  if (mounts.length > maxMounts) throw invalid("mounts", `There are ${maxMounts} mounts at most.`);
  const hostMounts = parseMountInfo(await readFile("/proc/self/mountinfo", "utf8"));
  const isPrivileged = config.linux?.securityContext?.privileged === true;
  const result: OciMount[] = [];
  const destinations = new Set<string>();
  for (const mount of mounts) {
    const destination = await resolveTarget("mounts.containerPath", rootPath, mount.containerPath);
    if (destinations.has(destination)) {
      throw invalid("mounts.containerPath", `Two mounts are at ${destination}.`);
    }
    destinations.add(destination);
    const source = await resolveHostPath(mount);
    result.push({
      destination,
      type: "bind",
      source,
      options: [
        "rbind",
        access(mount, host),
        propagation(mount, { source, hostMounts, isPrivileged }),
        ...checkOptions(mount.mountOptions ?? []),
      ],
      ...idMappings(mount, host),
    });
  }
  return result;
}

/**
 * Where a mount at a container path ends up. `/proc` must stay the kernel's. What lies in `/dev` and `/sys` is the runtime's:
 * there links of the image say nothing, and none may lead there, or `/etc/hosts` could take the place of `/dev/null`.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`
 */
async function resolveTarget(field: string, rootPath: string, path: string): Promise<string> {
  const wanted = parseContainerPath(field, path);
  using entry = await openInRoot(rootPath, wanted);
  return allowed(field, { wanted, path: entry.path });
}

/** {@link resolveTarget} for names in a directory of the root filesystem. */
export async function resolveTargetsIn(
  { field, rootPath }: { readonly field: string; readonly rootPath: string },
  directory: string,
  names: readonly string[],
): Promise<readonly string[]> {
  const paths = await pathsInRoot(rootPath, directory, names);
  return paths.map((path, index) =>
    allowed(field, { wanted: `${directory}/${names[index] ?? ""}`, path }),
  );
}

/** The path that is mounted at, when something may be mounted there. */
function allowed(
  field: string,
  { wanted, path }: { readonly wanted: string; readonly path: string },
): string {
  const isRuntimes = isWithinAny(["/dev", "/sys"], wanted);
  const forbidden = isRuntimes ? ["/proc"] : ["/proc", "/dev", "/sys"];
  if ([wanted, path].some((target) => target === "/" || isWithinAny(forbidden, target))) {
    throw invalid(field, `Nothing can be mounted at ${JSON.stringify(wanted.slice(0, 256))}.`);
  }
  return isRuntimes ? wanted : path;
}

function isWithinAny(directories: readonly string[], path: string): boolean {
  return directories.some((directory) => isWithin(directory, path));
}

async function resolveHostPath({ hostPath, image }: Mount): Promise<string> {
  if (image !== undefined && hostPath === "") {
    throw unsupported("mounts.image", "ImageVolumeMountFailed: the image is not on the host yet.");
  }
  const shown = JSON.stringify(hostPath.slice(0, 256));
  if (!hostPath.startsWith("/") || hostPath.includes("\0")) {
    throw invalid("mounts.hostPath", `A path on the host begins with "/": ${shown}.`);
  }
  try {
    return await realpath(hostPath);
  } catch (error) {
    throw invalid("mounts.hostPath", `There is nothing at ${shown} on the host.`, error);
  }
}

interface PropagationFacts {
  readonly source: string;
  readonly hostMounts: readonly MountInfo[];
  readonly isPrivileged: boolean;
}

function propagation(mount: Mount, { source, hostMounts, isPrivileged }: PropagationFacts): string {
  const kind = mount.propagation ?? "private";
  if (kind === "private") return "rprivate";
  const field = "mounts.propagation";
  const holder = holderOf(source, hostMounts);
  switch (kind) {
    case "hostToContainer":
      if (holder?.isShared === true || holder?.isSlave === true) return "rslave";
      throw unsupported(
        field,
        `${source} is on a mount of the host that is neither shared nor slave.`,
      );
    case "bidirectional":
      if (!isPrivileged) {
        throw invalid(field, "Only a privileged container can make mounts for the host.");
      }
      if (holder?.isShared === true) return "rshared";
      throw unsupported(field, `${source} is on a mount of the host that is not shared.`);
    default:
      throw invalid(field, `There is no propagation ${JSON.stringify(kind satisfies never)}.`);
  }
}

/** The mount that a path of the host is on: of those around it the innermost, and of several there the last. */
export function holderOf(path: string, mounts: readonly MountInfo[]): MountInfo | undefined {
  let holder: MountInfo | undefined;
  for (const mount of mounts) {
    const isInner = holder === undefined || mount.mountPoint.length >= holder.mountPoint.length;
    if (isInner && isWithin(mount.mountPoint, path)) holder = mount;
  }
  return holder;
}

/** The first kernel with mount_setattr(2). */
const recursiveKernel = [5, 12] as const;

function access(mount: Mount, { kernelVersion: [major, minor], runtime }: HostFacts): string {
  if (mount.recursiveReadOnly !== true) return mount.readonly === true ? "ro" : "rw";
  if (mount.readonly !== true || (mount.propagation ?? "private") !== "private") {
    throw invalid(
      "mounts.recursiveReadOnly",
      "A recursively read-only mount is read-only, and private.",
    );
  }
  const hasKernel =
    major > recursiveKernel[0] || (major === recursiveKernel[0] && minor >= recursiveKernel[1]);
  if (!hasKernel || !runtime.recursiveReadOnly) {
    throw unsupported(
      "mounts.recursiveReadOnly",
      "RROUnsupported: it needs Linux 5.12 and a runtime that knows the mount option rro.",
    );
  }
  return "rro";
}

function checkOptions(options: readonly string[]): readonly string[] {
  for (const option of options) {
    if (!["noexec", "nodev", "nosuid"].includes(option)) {
      throw invalid(
        "mounts.mountOptions",
        `Options are noexec, nodev and nosuid, not ${JSON.stringify(option.slice(0, 64))}.`,
      );
    }
  }
  return [...new Set(options)];
}

function idMappings(mount: Mount, host: HostFacts): Pick<OciMount, "uidMappings" | "gidMappings"> {
  const { uidMappings = [], gidMappings = [] } = mount;
  if (uidMappings.length === 0 && gidMappings.length === 0) return {};
  if (!host.runtime.idMappedMounts) {
    throw unsupported(
      "mounts.uidMappings",
      "The runtime cannot show a mount's files with other ids.",
    );
  }
  if (uidMappings.length === 0 || gidMappings.length === 0) {
    throw invalid("mounts.gidMappings", "Users and groups of a mount are mapped together.");
  }
  return { uidMappings: uidMappings.map(toOci), gidMappings: gidMappings.map(toOci) };
}

function toOci({ containerId, hostId, length }: IdMapping): OciIdMapping {
  if (![containerId, hostId, length].every((part) => Number.isInteger(part) && part >= 0)) {
    throw invalid("mounts.uidMappings", "A mapping is made of whole numbers.");
  }
  return { containerID: containerId, hostID: hostId, size: length };
}
