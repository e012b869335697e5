import type { ContainerConfig, PodSandboxConfig, ProcessSpec } from "@longshore/core";
import type { HostFacts } from "./host-facts.ts";
import type { NamespacePaths } from "./namespaces.ts";
import type { OciRlimit } from "./oci-spec.ts";
import type { Accounts } from "./resolve-user.ts";

/** What a process's part of the specification is built from. */
export interface ProcessInput {
  readonly sandbox: PodSandboxConfig;
  readonly config: ContainerConfig;
  /** Image and configuration already put together */
  readonly process: ProcessSpec;
  /** Root filesystem, mounted on the host */
  readonly rootPath: string;
  readonly host: HostFacts;
  /** The root filesystem's accounts, where they are known already. @default read from it */
  readonly accounts?: Accounts | undefined;
  /** Limits of the process; hard ones are lowered to the program's own. @default none: the program's own */
  readonly rlimits?: readonly OciRlimit[] | undefined;
}

/** What a container's specification is built from. */
export interface ContainerSpecInput extends ProcessInput {
  readonly containerId: string;
  readonly sandboxId: string;
  readonly namespaces: NamespacePaths;
  /** Absolute path in the cgroup hierarchies, or `slice:prefix:name`; absent: no cgroup, and no limits */
  readonly cgroupsPath?: string | undefined;
  readonly files: SandboxFiles;
  /** Further annotations, which runtimes may act on; never those of the CRI's configuration */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** Files of a sandbox on the host, to bind over those of its containers. */
export interface SandboxFiles {
  readonly hosts?: string | undefined;
  readonly resolvConf?: string | undefined;
  readonly hostname?: string | undefined;
  /** Directory for `/dev/shm`; absent: a tmpfs of the container's own, 64 MiB */
  readonly shm?: string | undefined;
}
