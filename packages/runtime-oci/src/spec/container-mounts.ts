import { isWithin } from "./container-path.ts";
import type { ContainerSpecInput } from "./container-spec-input.ts";
import { bind, defaultMounts } from "./default-mounts.ts";
import { sortMounts } from "./mount-order.ts";
import type { ContainerNamespaces } from "./namespaces.ts";
import type { OciLinux, OciMount } from "./oci-spec.ts";
import { resolveTargetsIn, userMounts } from "./user-mounts.ts";

/** All mounts of a container, parents first, and what they need of its root. */
export interface ContainerMounts {
  readonly mounts: readonly OciMount[];
  readonly rootfsPropagation?: NonNullable<OciLinux["rootfsPropagation"]>;
}

/**
 * Puts the mounts of every container, the sandbox's files and the configuration's mounts together. Who asks for a mount
 * gets it in place of what else would be there or below.
 *
 * @throws {LongshoreError} as {@link userMounts}
 */
export async function containerMounts(
  input: ContainerSpecInput,
  namespaces: ContainerNamespaces,
): Promise<ContainerMounts> {
  const context = input.config.linux?.securityContext;
  const asked = await userMounts(input.config, input.rootPath, input.host);
  const own = [
    ...defaultMounts({
      namespaces,
      isPrivileged: context?.privileged === true,
      canRecurse: input.host.runtime.recursiveReadOnly,
    }),
    ...(await sandboxFiles(input)),
  ];
  const isReplaced = ({ destination }: OciMount): boolean =>
    asked.some((mount) => isWithin(mount.destination, destination));
  const files = new Map(
    own.filter((mount) => !isReplaced(mount)).map((mount) => [mount.destination, mount]),
  );
  const rootfsPropagation = propagationOfRoot(asked);
  return {
    mounts: sortMounts([...files.values(), ...asked]),
    ...(rootfsPropagation && { rootfsPropagation }),
  };
}

async function sandboxFiles(input: ContainerSpecInput): Promise<readonly OciMount[]> {
  const { files, rootPath, config } = input;
  const access = config.linux?.securityContext?.readonlyRootfs === true ? "ro" : "rw";
  const options = ["rbind", "rprivate", "nosuid", "nodev", "noexec"];
  const sources = Object.entries({
    hosts: files.hosts,
    "resolv.conf": files.resolvConf,
    hostname: files.hostname,
  }).flatMap(([name, source]) => (source === undefined ? [] : [{ name, source }]));
  const names = sources.map(({ name }) => name);
  const targets = await resolveTargetsIn({ field: "rootfs", rootPath }, "/etc", names);
  const mounts = sources.map(({ name, source }, index) =>
    bind(source, targets[index] ?? `/etc/${name}`, [...options, access]),
  );
  if (files.shm !== undefined) mounts.push(bind(files.shm, "/dev/shm", [...options, "rw"]));
  return mounts;
}

/** Mounts can come in or go out only as far as the root around them lets them. */
function propagationOfRoot(mounts: readonly OciMount[]): OciLinux["rootfsPropagation"] {
  if (mounts.some(({ options }) => options.includes("rshared"))) return "rshared";
  return mounts.some(({ options }) => options.includes("rslave")) ? "rslave" : undefined;
}
