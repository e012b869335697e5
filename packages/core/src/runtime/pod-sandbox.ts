import type { ContainerStatus } from "./container.ts";
import type { Nanoseconds } from "./nanoseconds.ts";
import type { LinuxContainerResources } from "./resources.ts";
import type { LinuxSandboxSecurityContext, NamespaceOption } from "./security-context.ts";

/** What a caller calls a sandbox. No two sandboxes have the same four values until one is removed. */
export interface PodSandboxMetadata {
  readonly name: string;
  readonly uid: string;
  readonly namespace: string;
  /** Counts sandboxes made again for one pod. @default 0 */
  readonly attempt?: number | undefined;
}

/** How a sandbox is to be made. */
export interface PodSandboxConfig {
  readonly metadata: PodSandboxMetadata;
  /** Empty or absent only with the host's network */
  readonly hostname?: string | undefined;
  /** Host directory in which container logs lie; made when missing */
  readonly logDirectory?: string | undefined;
  /** Absent: a copy of the host's */
  readonly dnsConfig?: DnsConfig | undefined;
  readonly portMappings?: readonly PortMapping[] | undefined;
  /**
   * Lets the sandbox reach these hosts and nothing else; needs the pod's own network. Absent: what the network allows.
   * Ours, not the CRI's.
   */
  readonly egress?: EgressRules | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Come back unchanged */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly linux?: LinuxPodSandboxConfig | undefined;
}

export interface DnsConfig {
  readonly servers?: readonly string[] | undefined;
  readonly searches?: readonly string[] | undefined;
  /** e.g. `"ndots:5"` */
  readonly options?: readonly string[] | undefined;
}

/** What a sandbox may reach outside, by HTTP and TLS through a proxy of the runtime. */
export interface EgressRules {
  /** `host`, `host:port`, `*.domain` or `*`; without a port 80 and 443. Empty: nothing */
  readonly allow: readonly string[];
  readonly secrets?: readonly EgressSecret[] | undefined;
}

/**
 * A secret that never enters the sandbox: its processes see a placeholder, which the proxy swaps in the headers of requests
 * to the hosts named here. It is kept in memory only: after a restart of the program placeholders are not swapped.
 */
export interface EgressSecret {
  /** Stands for the secret; long and random */
  readonly placeholder: string;
  readonly value: string;
  /** As in `EgressRules.allow`; each must be allowed there */
  readonly hosts: readonly string[];
}

export interface PortMapping {
  /** @default "tcp" */
  readonly protocol?: "tcp" | "udp" | "sctp" | undefined;
  readonly containerPort: number;
  /** 0: no host port */
  readonly hostPort: number;
  /** Absent: all addresses */
  readonly hostIp?: string | undefined;
}

export interface LinuxPodSandboxConfig {
  /** cgroupfs path, or a slice name with the systemd driver; containers go below it */
  readonly cgroupParent?: string | undefined;
  readonly securityContext?: LinuxSandboxSecurityContext | undefined;
  /** Set in the pod's namespaces */
  readonly sysctls?: Readonly<Record<string, string>> | undefined;
  /** What the sandbox itself needs beside its containers; a hint for the size of a VM */
  readonly overhead?: LinuxContainerResources | undefined;
  /** Sum of the containers' limits; a hint for the size of a VM */
  readonly resources?: LinuxContainerResources | undefined;
}

/** `notready` is final: a sandbox that stopped or died never comes back. */
export type PodSandboxState = "ready" | "notready";

/** A sandbox in a list. */
export interface PodSandbox {
  readonly id: string;
  readonly metadata: PodSandboxMetadata;
  readonly state: PodSandboxState;
  readonly createdAt: Nanoseconds;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly runtimeHandler: string;
}

export interface PodSandboxStatus extends PodSandbox {
  /** Absent with the host's network, or none */
  readonly network?: PodSandboxNetworkStatus | undefined;
  readonly linux?: { readonly namespaces: NamespaceOption } | undefined;
}

export interface PodSandboxNetworkStatus {
  readonly ip: string;
  /** Addresses of the other family */
  readonly additionalIps: readonly string[];
}

/** Every field that is set must match; an empty string means any. */
export interface PodSandboxFilter {
  /** The id, or a prefix that fits only one */
  readonly id?: string | undefined;
  readonly state?: PodSandboxState | undefined;
  /** Every pair must be equal */
  readonly labelSelector?: Readonly<Record<string, string>> | undefined;
}

export interface RunPodSandboxRequest {
  readonly config: PodSandboxConfig;
  /** Which driver makes the sandbox, e.g. `"runc"` or `"kata"`. @default "" (the runtime's default) */
  readonly runtimeHandler?: string | undefined;
}

export interface PodSandboxRef {
  /** The id, or a prefix that fits only one */
  readonly podSandboxId: string;
}

export interface PodSandboxStatusRequest extends PodSandboxRef {
  /** Whether `info` is wanted. @default false */
  readonly verbose?: boolean | undefined;
}

export interface PodSandboxStatusResponse {
  readonly status: PodSandboxStatus;
  /** Each value a JSON text */
  readonly info?: Readonly<Record<string, string>> | undefined;
  readonly containersStatuses?: readonly ContainerStatus[] | undefined;
  /** When the statuses were read */
  readonly timestamp?: Nanoseconds | undefined;
}

export interface UpdatePodSandboxResourcesRequest extends PodSandboxRef {
  readonly overhead?: LinuxContainerResources | undefined;
  readonly resources?: LinuxContainerResources | undefined;
}
