/** Whose namespace a container uses: its pod's, its own, the host's, or that of another container of the pod. */
export type NamespaceMode = "pod" | "container" | "node" | "target";

/** Namespaces of a sandbox or container. */
export interface NamespaceOption {
  /**
   * `"none"` is ours, not the CRI's: a namespace of the pod's own with nothing but loopback in it. A runtime that
   * cannot give it must refuse. @default "pod"
   */
  readonly network?: "pod" | "node" | "none" | undefined;
  /** @default "pod": one for all containers, with the sandbox's init as process 1 */
  readonly pid?: NamespaceMode | undefined;
  /** @default "pod" */
  readonly ipc?: "pod" | "node" | undefined;
  /** Container of the same sandbox, with `pid: "target"` */
  readonly targetId?: string | undefined;
  /** Absent: no user namespace is asked for */
  readonly usernsOptions?: UserNamespace | undefined;
}

export interface UserNamespace {
  readonly mode: "pod" | "node";
  /** Exactly one mapping, which includes container id 0 */
  readonly uids: readonly IdMapping[];
  readonly gids: readonly IdMapping[];
}

/** A run of ids inside, and where it begins on the host. */
export interface IdMapping {
  readonly hostId: number;
  readonly containerId: number;
  readonly length: number;
}

/** A seccomp or AppArmor profile. */
export type SecurityProfile =
  | { readonly profileType: "runtimeDefault" }
  | { readonly profileType: "unconfined" }
  /** `localhostRef`: absolute path of a seccomp profile, or name of a loaded AppArmor profile */
  | { readonly profileType: "localhost"; readonly localhostRef: string };

export interface SelinuxOption {
  readonly user?: string | undefined;
  readonly role?: string | undefined;
  readonly type?: string | undefined;
  readonly level?: string | undefined;
}

/** Whether the image's `/etc/group` adds groups to those asked for. */
export type SupplementalGroupsPolicy = "merge" | "strict";

/** Changes to the runtime's default capabilities: `ALL` first, then added names, then dropped ones. */
export interface LinuxCapabilities {
  /** Names without `CAP_`, or `"ALL"` */
  readonly addCapabilities?: readonly string[] | undefined;
  readonly dropCapabilities?: readonly string[] | undefined;
  readonly addAmbientCapabilities?: readonly string[] | undefined;
}

interface LinuxSecurityContext {
  readonly namespaceOptions?: NamespaceOption | undefined;
  readonly selinuxOptions?: SelinuxOption | undefined;
  readonly runAsUser?: number | undefined;
  /** Refused without a user */
  readonly runAsGroup?: number | undefined;
  readonly readonlyRootfs?: boolean | undefined;
  readonly supplementalGroups?: readonly number[] | undefined;
  /** @default "merge" */
  readonly supplementalGroupsPolicy?: SupplementalGroupsPolicy | undefined;
  /** Absent: unconfined, as in the CRI */
  readonly seccomp?: SecurityProfile | undefined;
  readonly apparmor?: SecurityProfile | undefined;
}

export interface LinuxSandboxSecurityContext extends LinuxSecurityContext {
  /** Whether privileged containers may run in the pod. @default false */
  readonly privileged?: boolean | undefined;
}

export interface LinuxContainerSecurityContext extends LinuxSecurityContext {
  readonly capabilities?: LinuxCapabilities | undefined;
  /** All rights of the daemon; refused in a sandbox that is not privileged. @default false */
  readonly privileged?: boolean | undefined;
  /** Looked up in the container's `/etc/passwd`; an unknown name is an error */
  readonly runAsUsername?: string | undefined;
  readonly noNewPrivs?: boolean | undefined;
  /** Replaces the runtime's default list */
  readonly maskedPaths?: readonly string[] | undefined;
  /** Replaces the runtime's default list */
  readonly readonlyPaths?: readonly string[] | undefined;
}
