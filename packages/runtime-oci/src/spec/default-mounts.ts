import { isMapped, type ContainerNamespaces } from "./namespaces.ts";
import type { OciMount } from "./oci-spec.ts";

/** What the mounts of every container depend on. */
export interface DefaultMountOptions {
  readonly namespaces: ContainerNamespaces;
  readonly isPrivileged: boolean;
  /** Whether the runtime knows the mount option `rro` */
  readonly canRecurse: boolean;
}

/** Group `tty` in every distribution, which owns terminals. */
const ttyGid = 5;
const kernelFiles = ["nosuid", "noexec", "nodev"];

/** `/proc`, `/dev`, `/sys` and what belongs in them; kernel settings can be written by a privileged container only. */
export function defaultMounts(options: DefaultMountOptions): readonly OciMount[] {
  const { namespaces, isPrivileged, canRecurse } = options;
  const { hasHostNetwork, hasHostPid, hasHostIpc, idMappings } = namespaces;
  const access = isPrivileged ? "rw" : "ro";
  const boundAccess = !isPrivileged && canRecurse ? "rro" : access;
  const hasUserNamespace = idMappings !== undefined;
  const hasTtyGroup = idMappings === undefined || isMapped(idMappings.gids, ttyGid);
  return [
    // A user namespace cannot mount afresh what shows a namespace of the host; it can bind it with the mounts in it.
    hasUserNamespace && hasHostPid
      ? bind("/proc", "/proc", ["rbind", ...kernelFiles])
      : { destination: "/proc", type: "proc", source: "proc", options: kernelFiles },
    {
      destination: "/dev",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
    },
    hasUserNamespace && hasHostNetwork
      ? bind("/sys", "/sys", ["rbind", ...kernelFiles, boundAccess])
      : { destination: "/sys", type: "sysfs", source: "sysfs", options: [...kernelFiles, access] },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: [
        "nosuid",
        "noexec",
        "newinstance",
        "ptmxmode=0666",
        "mode=0620",
        ...(hasTtyGroup ? [`gid=${ttyGid}`] : []),
      ],
    },
    hasHostIpc
      ? bind("/dev/shm", "/dev/shm", ["rbind", ...kernelFiles])
      : {
          destination: "/dev/shm",
          type: "tmpfs",
          source: "shm",
          options: [...kernelFiles, "mode=1777", "size=65536k"],
        },
    // Nor the host's message queues; and whether the host has a mount of them to bind, nobody knows.
    ...(hasUserNamespace && hasHostIpc
      ? []
      : [{ destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: kernelFiles }]),
    {
      destination: "/sys/fs/cgroup",
      type: "cgroup",
      source: "cgroup",
      options: [...kernelFiles, "relatime", access],
    },
  ];
}

/** A bind mount; private unless `options` say more. */
export function bind(source: string, destination: string, options: readonly string[]): OciMount {
  return { destination, type: "bind", source, options };
}
