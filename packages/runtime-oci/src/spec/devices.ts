import type { ContainerConfig, Device } from "@longshore/core";
import type { BigIntStats } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { isWithin, parseContainerPath } from "./container-path.ts";
import type { OciDevice, OciDeviceRule } from "./oci-spec.ts";
import { invalid, unsupported } from "./spec-error.ts";

const maxDevices = 4_096;
const maxDepth = 8;

/** Devices of a container and the rules of its device cgroup; whatever is not allowed is denied. */
export interface ContainerDevices {
  readonly devices: readonly OciDevice[];
  readonly rules: readonly OciDeviceRule[];
}

/**
 * Looks up the devices of a container on the host. A privileged one sees all of the host's `/dev` and may use and make
 * any. The runtime itself adds `null`, `zero`, `full`, `random`, `urandom`, `tty` and the terminals.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for a path that is no device, or bad permissions; `RUNTIME_NOT_SUPPORTED` for
 *   devices of the Container Device Interface
 */
export async function containerDevices(config: ContainerConfig): Promise<ContainerDevices> {
  if ((config.cdiDevices ?? []).length > 0) {
    throw unsupported(
      "cdiDevices",
      "Devices of the Container Device Interface cannot be had here.",
    );
  }
  const isPrivileged = config.linux?.securityContext?.privileged === true;
  const found = new Map<string, OciDevice>();
  const rules: OciDeviceRule[] = [{ allow: isPrivileged, access: "rwm" }];
  if (isPrivileged) {
    for await (const device of devicesIn("/dev", "/dev", 0)) add(found, device);
  }
  for (const device of config.devices ?? []) {
    const access = checkPermissions(device.permissions);
    for await (const ociDevice of lookUp(device)) {
      add(found, ociDevice);
      if (isPrivileged) continue;
      const { type, major, minor } = ociDevice;
      rules.push({ allow: true, type, major, minor, access });
    }
  }
  return { devices: [...found.values()], rules };
}

function add(found: Map<string, OciDevice>, device: OciDevice): void {
  found.set(device.path, device);
  if (found.size > maxDevices) {
    throw invalid("devices", `A container has ${maxDevices} devices at most.`);
  }
}

async function* lookUp({ containerPath, hostPath }: Device): AsyncIterable<OciDevice> {
  const shown = JSON.stringify(hostPath.slice(0, 256));
  if (!hostPath.startsWith("/") || hostPath.includes("\0")) {
    throw invalid("devices.hostPath", `A path on the host begins with "/": ${shown}.`);
  }
  const target = parseContainerPath("devices.containerPath", containerPath);
  if (target === "/" || isWithin("/proc", target) || isWithin("/sys", target)) {
    throw invalid("devices.containerPath", `No device can be made at ${target}.`);
  }
  let stats;
  let source;
  try {
    source = await realpath(hostPath);
    stats = await stat(source, { bigint: true });
  } catch (error) {
    throw invalid("devices.hostPath", `There is no device ${shown} on the host.`, error);
  }
  const device = toDevice(target, stats);
  if (device !== undefined) yield device;
  else if (stats.isDirectory()) yield* devicesIn(source, target, 0);
  else throw invalid("devices.hostPath", `${shown} is neither a device nor a directory.`);
}

/** Entries that are the container's own, or not devices of hardware. */
const ownEntries: ReadonlySet<string> = new Set([
  "/dev/console",
  "/dev/mqueue",
  "/dev/ptmx",
  "/dev/pts",
  "/dev/shm",
]);

async function* devicesIn(source: string, target: string, depth: number): AsyncIterable<OciDevice> {
  if (depth > maxDepth) throw invalid("devices.hostPath", `${source} is nested too deeply.`);
  for (const entry of await readdir(source, { withFileTypes: true })) {
    const path = join(source, entry.name);
    if (ownEntries.has(path)) continue;
    if (entry.isDirectory()) yield* devicesIn(path, join(target, entry.name), depth + 1);
    if (!entry.isCharacterDevice() && !entry.isBlockDevice()) continue;
    // A device that was unplugged meanwhile is left out.
    const stats = await stat(path, { bigint: true }).catch(() => undefined);
    const device = stats && toDevice(join(target, entry.name), stats);
    if (device !== undefined) yield device;
  }
}

function toDevice(path: string, stats: BigIntStats): OciDevice | undefined {
  if (!stats.isCharacterDevice() && !stats.isBlockDevice()) return undefined;
  return {
    type: stats.isBlockDevice() ? "b" : "c",
    path,
    ...deviceNumber(stats.rdev),
    fileMode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
  };
}

/**
 * Parts of a device number as stat(2) gives it.
 *
 * @see https://man7.org/linux/man-pages/man3/makedev.3.html
 */
export function deviceNumber(rdev: bigint): { readonly major: number; readonly minor: number } {
  return {
    major: Number(((rdev >> 8n) & 0xf_ffn) | ((rdev >> 32n) & 0xff_ff_f0_00n)),
    minor: Number((rdev & 0xffn) | ((rdev >> 12n) & 0xff_ff_ff_00n)),
  };
}

function checkPermissions(permissions: string): string {
  if (/^[rwm]{1,3}$/.test(permissions) && new Set(permissions).size === permissions.length) {
    return permissions;
  }
  throw invalid(
    "devices.permissions",
    `Permissions are letters of "rwm", not ${JSON.stringify(permissions.slice(0, 16))}.`,
  );
}
