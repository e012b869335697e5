import type { Stats } from "node:fs";
import { lstat, mkdir, realpath } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import {
  hasCode,
  LongshoreError,
  type ContainerLog,
  type ImageConfig,
  type Mount,
  type PodSandboxConfig,
  type Rootfs,
  type RootfsIdMappings,
  type SandboxDriver,
} from "@longshore/core";
import { invalid } from "../engine/check-fields.ts";
import type { Engine } from "../engine/engine.ts";
import type { SandboxEntry } from "../engine/entries.ts";
import type { ContainerRecord } from "../records/container-record.ts";

/** What a container's files are made of. */
export interface ContainerFiles {
  readonly imageConfig: ImageConfig;
  readonly rootfs: Rootfs;
  readonly driverMounts: readonly Mount[];
}

/** Whose files, and for which driver. */
export interface FilesRequest extends Pick<ContainerRecord, "id" | "imageId" | "config"> {
  readonly driver: SandboxDriver;
  readonly sandbox: SandboxEntry;
  readonly signal: AbortSignal;
}

/** Names under which a container holds root filesystems: its own, and one for each image that is mounted. */
export function fileOwners({
  id,
  config,
}: Pick<ContainerRecord, "id" | "config">): readonly string[] {
  const images = (config.mounts ?? []).flatMap(({ image }, index) =>
    image === undefined ? [] : [mountOwner(id, index)],
  );
  return [id, ...images];
}

/** Holds a container's files; asking again for the same container gives the same ones. */
export async function holdFiles(engine: Engine, request: FilesRequest): Promise<ContainerFiles> {
  const { id, imageId, config, driver, sandbox, signal } = request;
  const accept: Rootfs["kind"][] = ["overlay", "directory"];
  if (driver.capabilities.has("blockRootfs")) accept.unshift("block");
  const idMappings = idMappingsOf(sandbox.config);
  const main = await engine.images.prepareRootfs(imageId, id, { accept, idMappings, signal });
  const mounts: Mount[] = [];
  for (const [index, mount] of (config.mounts ?? []).entries()) {
    mounts.push(
      mount.image === undefined ? mount : await imageMount(engine, request, { mount, index }),
    );
  }
  const taken = new Set(mounts.map(({ containerPath }) => containerPath));
  for (const [containerPath, hostPath] of Object.entries(sandbox.record.network?.files ?? {})) {
    if (!taken.has(containerPath)) mounts.push({ containerPath, hostPath, readonly: true });
  }
  return { imageConfig: main.config, rootfs: main.rootfs, driverMounts: mounts };
}

/** Ids of the sandbox's user namespace; absent without one. */
function idMappingsOf({ linux }: PodSandboxConfig): RootfsIdMappings | undefined {
  const userns = linux?.securityContext?.namespaceOptions?.usernsOptions;
  return userns?.mode === "pod" ? { uids: userns.uids, gids: userns.gids } : undefined;
}

/** An image's files as a directory of the host. */
async function imageMount(
  { images }: Engine,
  { id, sandbox, signal }: FilesRequest,
  { mount, index }: { readonly mount: Mount; readonly index: number },
): Promise<Mount> {
  const ref = mount.image?.imageRef || mount.image?.image || "";
  const { rootfs } = await images.prepareRootfs(ref, mountOwner(id, index), {
    readonly: true,
    accept: ["directory"],
    idMappings: idMappingsOf(sandbox.config),
    signal,
  });
  if (rootfs.kind !== "directory") {
    throw new LongshoreError(
      "RUNTIME_NOT_SUPPORTED",
      "Images cannot be mounted as directories here.",
    );
  }
  const { image: _image, imageSubPath = "", ...rest } = mount;
  return {
    ...rest,
    hostPath: await below(rootfs.path, imageSubPath, "imageSubPath"),
    readonly: true,
  };
}

/** A path with its links followed, unless they lead out of the directory. */
async function below(directory: string, path: string, field: string): Promise<string> {
  const root = await realpath(directory);
  let real: string;
  try {
    real = await realpath(join(root, path));
  } catch (error) {
    if (hasCode(error, "ENOENT", "ENOTDIR")) throw invalid(field, `${path} is not there.`);
    throw error;
  }
  if (real !== root && !real.startsWith(`${root}/`))
    throw invalid(field, "leads out of its directory.");
  return real;
}

function mountOwner(id: string, index: number): string {
  return `${id}-mount-${index}`;
}

/** Makes the directories of a container's log. No link on the way from the log directory to the file is followed. */
export async function prepareLog(
  path: string,
  root: string,
  limits: Omit<ContainerLog, "path">,
): Promise<ContainerLog> {
  await mkdir(root, { recursive: true });
  let directory = root;
  for (const part of relative(root, dirname(path)).split("/")) {
    directory = join(directory, part);
    if (!(await isKind(directory, "isDirectory"))) await mkdir(directory);
  }
  await isKind(path, "isFile");
  return { ...limits, path };
}

/** Whether something is there; anything of another kind is refused. */
async function isKind(path: string, kind: "isDirectory" | "isFile"): Promise<boolean> {
  let stat: Stats;
  try {
    stat = await lstat(path);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return false;
    throw error;
  }
  if (stat[kind]()) return true;
  throw invalid("logPath", `${path} is no ${kind === "isFile" ? "file" : "directory"}.`);
}
