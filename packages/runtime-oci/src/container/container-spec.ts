import { join } from "node:path";
import { LongshoreError, type ProcessSpec } from "@longshore/core";
import { buildContainerSpec } from "../spec/build-container-spec.ts";
import { buildExecProcess } from "../spec/build-exec-process.ts";
import type { NamespacePaths } from "../spec/namespaces.ts";
import type { OciProcess, OciSpec } from "../spec/oci-spec.ts";
import type { Accounts } from "../spec/resolve-user.ts";
import { isRootless, sandboxNamespaces } from "../sandbox/sandbox-context.ts";
import { checkKernelContainer, kernelSpec } from "../sandbox/check-own-kernel.ts";
import { rootlessProcess, rootlessSpec } from "../sandbox/check-rootless.ts";
import { sandboxUsers } from "../sandbox/user-namespace.ts";
import type { ContainerContext } from "./container-context.ts";

/** Where a container's root filesystem can be looked at; where it will be is in the context. */
export interface VisibleRoot {
  readonly rootPath: string;
  /** @default read from there */
  readonly accounts?: Accounts | undefined;
}

/**
 * The configuration that a container is started with.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`, `RUNTIME_NOT_SUPPORTED`
 */
export async function containerSpec(
  context: ContainerContext,
  { rootPath, accounts }: VisibleRoot,
): Promise<OciSpec> {
  const { sandbox, spec, config, cgroup } = context;
  const { directory } = sandbox.spec;
  const { hasOwnKernel } = sandbox.runtime.kind;
  if (hasOwnKernel) checkKernelContainer(config);
  const hasHostIpc = config.linux?.securityContext?.namespaceOptions?.ipc === "node";
  const built = await buildContainerSpec({
    sandbox: sandbox.spec.config,
    config,
    process: spec.process,
    rootPath,
    accounts,
    host: sandbox.runtime.host,
    containerId: spec.id,
    sandboxId: sandbox.spec.id,
    namespaces: namespacePaths(context),
    cgroupsPath: cgroup,
    files: {
      hosts: join(directory, "etc", "hosts"),
      resolvConf: join(directory, "etc", "resolv.conf"),
      hostname: join(directory, "etc", "hostname"),
      ...(!hasHostIpc && !hasOwnKernel && { shm: join(directory, "shm") }),
    },
  });
  const fitting = hasOwnKernel ? kernelSpec(built) : built;
  const allowed = isRootless(sandbox.runtime) ? rootlessSpec(fitting, config) : fitting;
  return {
    ...allowed,
    root: { path: context.rootPath, readonly: built.root.readonly || isReadonly(context) },
  };
}

/** What a command that is executed in a container is started with. */
export async function execProcess(
  { sandbox, spec, config, rootPath }: ContainerContext,
  process: ProcessSpec,
): Promise<OciProcess> {
  const built = await buildExecProcess({
    sandbox: sandbox.spec.config,
    config,
    process: { ...process, user: process.user ?? spec.process.user },
    rootPath,
    host: sandbox.runtime.host,
  });
  return isRootless(sandbox.runtime) ? rootlessProcess(built) : built;
}

function isReadonly({ spec: { rootfs } }: ContainerContext): boolean {
  switch (rootfs.kind) {
    case "directory":
      return rootfs.readonly;
    case "overlay":
      return rootfs.upper === undefined;
    case "block":
      return false;
    default:
      return rootfs satisfies never;
  }
}

function namespacePaths({ sandbox, config }: ContainerContext): NamespacePaths {
  const { directory, networkNamespace } = sandbox.spec;
  const {
    pid = "pod",
    ipc,
    network,
    targetId,
  } = config.linux?.securityContext?.namespaceOptions ?? {};
  const made = sandboxNamespaces(sandbox.spec);
  if ((network === "node") !== (made.network === "node")) {
    throw invalid("namespaceOptions.network", "The network is the sandbox's, for every container.");
  }
  if ((ipc === "node") !== (made.ipc === "node")) {
    throw invalid(
      "namespaceOptions.ipc",
      "The IPC namespace is the sandbox's, for every container.",
    );
  }
  const file = (name: string): string => join(directory, "ns", name);
  // Of the host's namespaces there is only the network that its kernel takes over.
  if (sandbox.runtime.kind.hasOwnKernel) return { network: networkNamespace };
  return {
    ...(sandboxUsers(sandbox.spec) && { user: file("user") }),
    ...(network !== "node" && { network: networkNamespace ?? file("net"), uts: file("uts") }),
    ...(ipc !== "node" && { ipc: file("ipc") }),
    pid: pidPath(),
  };

  function pidPath(): string | undefined {
    if (pid === "target") {
      const target = sandbox.pids.get(targetId ?? "");
      if (target !== undefined) return `/proc/${target}/ns/pid`;
      throw invalid(
        "namespaceOptions.targetId",
        "The target is no running container of the sandbox.",
      );
    }
    if (pid !== "pod") return undefined;
    if ((made.pid ?? "pod") === "pod") return file("pid");
    throw invalid(
      "namespaceOptions.pid",
      "The sandbox was made without a process namespace to share.",
    );
  }
}

function invalid(field: string, message: string): LongshoreError {
  return new LongshoreError("VALIDATION_ERROR", message, { details: { field } });
}
