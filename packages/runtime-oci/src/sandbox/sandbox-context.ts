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

/** The namespaces a sandbox is made with. */
export function sandboxNamespaces({ config }: DriverSandboxSpec): NamespaceOption {
  return config.linux?.securityContext?.namespaceOptions ?? {};
}
