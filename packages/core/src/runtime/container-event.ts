import type { ContainerStatus } from "./container.ts";
import type { Nanoseconds } from "./nanoseconds.ts";
import type { PodSandboxStatus } from "./pod-sandbox.ts";

/** Something happened to a container, or to a sandbox itself: then `containerId` is the sandbox's id. */
export interface ContainerEvent {
  readonly containerId: string;
  readonly containerEventType: "created" | "started" | "stopped" | "deleted";
  readonly createdAt: Nanoseconds;
  /** As it is now; absent once the sandbox is removed */
  readonly podSandboxStatus?: PodSandboxStatus | undefined;
  /** Of all containers of the sandbox, as they are now */
  readonly containersStatuses: readonly ContainerStatus[];
}
