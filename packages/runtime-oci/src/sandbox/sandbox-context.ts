import { join } from "node:path";
import type { DriverSandboxSpec, NamespaceOption } from "@longshore/core";
import type { RuntimeContext } from "../runtime/runtime-context.ts";

/** What the containers of a sandbox share. */
export interface SandboxContext {
  readonly runtime: RuntimeContext;
  readonly spec: DriverSandboxSpec;
  /** Path in the cgroup hierarchies; absent without them */
  readonly cgroup: string | undefined;
  /** Process ids of first processes by container id, for those that join their namespaces */
  readonly pids: Map<string, number>;
}

/** Where the OCI runtime keeps its notes of a sandbox's containers. */
export function runtimeState({ spec }: Pick<SandboxContext, "spec">): string {
  return join(spec.directory, "runtime");
}

/** The socket of a sandbox's process 1. */
export const initSocket = "init.sock";

/** Whether it is another user than root that runs sandboxes: in a user namespace of its own, without cgroups. */
export function isRootless({ host }: Pick<RuntimeContext, "host">): boolean {
  return !host.isRoot;
}

/** Whether a sandbox has a process 1: for its process namespace, or to hold what cannot be mounted on files. */
export function hasInit(runtime: RuntimeContext, spec: DriverSandboxSpec): boolean {
  if (isRootless(runtime)) return true;
  return !runtime.kind.hasOwnKernel && (sandboxNamespaces(spec).pid ?? "pod") === "pod";
}

/** Whether a sandbox has a network namespace with loopback only that the driver makes: `ns/net` of its directory. */
export function hasOwnLoopback(spec: DriverSandboxSpec): boolean {
  return sandboxNamespaces(spec).network !== "node" && spec.networkNamespace === undefined;
}

/** The namespaces a sandbox is made with. */
export function sandboxNamespaces({ config }: DriverSandboxSpec): NamespaceOption {
  return config.linux?.securityContext?.namespaceOptions ?? {};
}
