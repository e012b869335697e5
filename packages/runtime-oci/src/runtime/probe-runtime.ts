import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isLongshoreError, type Abortable } from "@longshore/core";
import { driverLife } from "./driver-life.ts";
import { openRuntime, readVersion } from "./find-runtime.ts";
import { runRuntime } from "./run-runtime.ts";
import type { RuntimeContext } from "./runtime-context.ts";
import type { OciLinux } from "../spec/oci-spec.ts";

/** What an OCI runtime can do on this machine, tried out. */
export interface RuntimeProbe {
  /** An OCI runtime's name, or path */
  readonly binary: string;
  readonly available: boolean;
  readonly version?: string | undefined;
  /** What works, or what is missing */
  readonly reason: string;
  /** The way to get what is missing */
  readonly fix?: string | undefined;
  /** Whether containers can have a user namespace of their own */
  readonly userNamespaces?: boolean | undefined;
  /** Whether mounts can be read-only with all that is below them */
  readonly recursiveReadOnlyMounts?: boolean | undefined;
}

/**
 * Runs a program in a container, and says what else the machine offers to containers. Never rejects for a lack of anything.
 */
export async function probeRuntime(
  binary: string,
  { signal }: Abortable = {},
): Promise<RuntimeProbe> {
  signal?.throwIfAborted();
  const directory = await mkdtemp(join(tmpdir(), "longshore-probe-"));
  try {
    const context = await openRuntime({
      binary,
      name: binary,
      stateDirectory: directory,
      life: driverLife(),
    });
    const version = await readVersion(context.binary, { signal });
    if (!context.host.isRoot) {
      await tryContainer(context, directory, callersUser());
      const reason = `${version}, without root: one user, no limits, no network, no pausing`;
      return { binary, available: true, version, reason };
    }
    if (context.hierarchies === undefined) {
      return {
        binary,
        available: false,
        version,
        reason: "no cgroups are mounted, or version 1 without its freezer",
        fix: "mount -t cgroup2 none /sys/fs/cgroup",
      };
    }
    await tryContainer(context, directory);
    const { hasOwnKernel } = context.kind;
    const userNamespaces = !hasOwnKernel && (await tryUserNamespace(context, directory));
    const users = userNamespaces ? "user namespaces" : "no user namespaces";
    return {
      binary,
      available: true,
      version,
      reason: `${version}, ${offers(context)}, ${hasOwnKernel ? kernelOffers : users}`,
      userNamespaces,
      recursiveReadOnlyMounts: context.host.runtime.recursiveReadOnly,
    };
  } catch (error) {
    signal?.throwIfAborted();
    const fix = isLongshoreError(error) ? error.details?.["fix"] : undefined;
    return {
      binary,
      available: false,
      reason: error instanceof Error ? error.message : String(error),
      ...(typeof fix === "string" && { fix }),
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const kernelOffers = "a kernel of its own for each container, one container in a sandbox";

function offers({ host, hidesUnified, kind, networkLack }: RuntimeContext): string {
  const known = kind.hasOwnKernel ? /^(cpu|memory|cpuset)$/ : /^(cpu|memory|pids|cpuset|hugetlb)$/;
  const limits = [...host.controllers].filter((name) => known.test(name));
  const cgroups = `cgroups ${host.cgroupVersion} with ${limits.toSorted().join(", ") || "no limits"}`;
  if (kind.hasOwnKernel)
    return [cgroups, ...(networkLack === undefined ? [] : ["no networks"])].join(", ");
  return [
    cgroups,
    host.hasSeccomp ? "seccomp" : "no seccomp",
    host.appArmorProfiles === undefined ? "no AppArmor" : "AppArmor",
    ...(hidesUnified ? ["hidden from the second cgroup mount"] : []),
  ].join(", ");
}

/** Programs of the host, read-only. */
const hostDirectories = ["/usr", "/bin", "/lib", "/lib64"];

/** The only mapping that the kernel lets a user make who has no other ids: itself as root. */
function callersUser(): Pick<OciLinux, "uidMappings" | "gidMappings"> {
  const toMapping = (id: number) => [{ containerID: 0, hostID: id, size: 1 }];
  const { geteuid, getegid } = process;
  return {
    uidMappings: toMapping(geteuid?.() ?? 0),
    gidMappings: toMapping(getegid?.() ?? 0),
  };
}

/** Whether a container whose root is none on the host can be run. */
async function tryUserNamespace(context: RuntimeContext, directory: string): Promise<boolean> {
  try {
    await chmod(directory, 0o711);
    const mappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
    await tryContainer(context, directory, { uidMappings: mappings, gidMappings: mappings });
    return true;
  } catch {
    // The kernel allows none, or the OCI runtime cannot do it: both are no lack for other containers.
    return false;
  }
}

/** Runs a program that every Linux has. */
async function tryContainer(
  context: RuntimeContext,
  directory: string,
  users: Pick<OciLinux, "uidMappings" | "gidMappings"> = {},
): Promise<void> {
  const bundle = join(directory, users.uidMappings === undefined ? "bundle" : "mapped");
  const id = `longshore-probe-${randomBytes(6).toString("hex")}`;
  const kernelFiles = ["nosuid", "noexec", "nodev"];
  const types = ["pid", "mount", "ipc", "uts", "network"];
  if (users.uidMappings !== undefined) types.unshift("user");
  const namespaces = types.map((type) => ({ type }));
  const root = join(bundle, "rootfs");
  await mkdir(root, { recursive: true });
  const owner = users.uidMappings?.[0]?.hostID;
  if (context.host.isRoot && owner !== undefined) {
    await chmod(bundle, 0o711);
    await chown(root, owner, owner);
  }
  const binds = hostDirectories
    .filter((path) => existsSync(path))
    .map((path) => ({
      destination: path,
      type: "bind",
      source: path,
      options: ["rbind", "ro", "nosuid", "nodev"],
    }));
  await writeFile(
    join(bundle, "config.json"),
    JSON.stringify({
      ociVersion: "1.0.2",
      root: { path: root, readonly: true },
      process: { user: { uid: 0, gid: 0 }, args: ["/bin/true"], cwd: "/", env: [] },
      mounts: [
        { destination: "/proc", type: "proc", source: "proc", options: kernelFiles },
        // crun makes the devices there that every container has.
        { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] },
        ...binds,
      ],
      linux: { ...users, namespaces, ...(context.host.isRoot && { cgroupsPath: `/${id}` }) },
    }),
  );
  const args = ["run", "--bundle", bundle, id];
  const options = context.networkLack === undefined ? [] : ["--network=none"];
  await runRuntime(context, { args, state: join(directory, "state"), options });
}
