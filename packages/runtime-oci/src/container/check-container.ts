import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { containerUser, LongshoreError, type Rootfs } from "@longshore/core";
import { isNumericUser, type Accounts } from "../spec/resolve-user.ts";
import type { ContainerContext } from "./container-context.ts";
import { containerSpec } from "./container-spec.ts";
import { wantedStreams } from "./wanted-streams.ts";

/**
 * Refuses a container that could not be started, before anything is made.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`, `RUNTIME_NOT_SUPPORTED`
 */
export async function checkContainer(context: ContainerContext): Promise<void> {
  const { spec } = context;
  checkRootfs(spec.rootfs);
  for (const request of spec.attach ?? []) wantedStreams(spec.process, request);
  if (needsAccounts(context)) {
    await containerSpec(context, { rootPath: await layerWithAccounts(spec.rootfs) });
  } else {
    await containerSpec(context, { rootPath: imageRoot(spec.rootfs), accounts: nobody });
  }
}

const nobody: Accounts = { users: [], groups: [] };

/** Whether it depends on the image's accounts if the user can be had; home and groups are looked up at the start. */
function needsAccounts({ spec, config, users }: ContainerContext): boolean {
  const user = containerUser(config.linux?.securityContext, spec.process.user) ?? "0";
  return users !== undefined || !isNumericUser(user);
}

/** @throws {LongshoreError} for one that cannot be mounted on the host */
export function checkRootfs(rootfs: Rootfs): void {
  if (rootfs.kind === "block") {
    throw new LongshoreError(
      "RUNTIME_NOT_SUPPORTED",
      "Containers on the host's kernel need a root filesystem of directories, not of block devices.",
      { details: { field: "rootfs.kind" } },
    );
  }
  if (rootfs.kind === "overlay" && rootfs.lower.length === 0) {
    throw new LongshoreError("VALIDATION_ERROR", "An overlay has at least one lower directory.", {
      details: { field: "rootfs.lower" },
    });
  }
}

/** Where users are looked up before the layers lie over each other: the topmost that names any. */
async function layerWithAccounts(rootfs: Rootfs): Promise<string> {
  if (rootfs.kind !== "overlay") return imageRoot(rootfs);
  const upper = rootfs.upper === undefined ? [] : [rootfs.upper.upperDir];
  for (const layer of [...upper, ...rootfs.lower]) {
    const file = await lstat(join(layer, "etc", "passwd")).catch(() => undefined);
    if (file !== undefined) return layer;
  }
  return imageRoot(rootfs);
}

/** What the image shows, whatever was changed since. */
function imageRoot(rootfs: Rootfs): string {
  switch (rootfs.kind) {
    case "directory":
      return rootfs.path;
    case "overlay":
      return rootfs.lower[0] ?? "/";
    case "block":
      return "/";
    default:
      return rootfs satisfies never;
  }
}
