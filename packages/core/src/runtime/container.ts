import type { ImageSpec } from "../image/image.ts";
import type { CdiDevice, Device, Mount } from "./mount.ts";
import type { Nanoseconds } from "./nanoseconds.ts";
import type { PodSandboxConfig, PodSandboxRef } from "./pod-sandbox.ts";
import type { ContainerResources, LinuxContainerResources } from "./resources.ts";
import type { LinuxContainerSecurityContext } from "./security-context.ts";
import type { SignalName } from "./signal-name.ts";

/** What a caller calls a container. Unique in its sandbox until the container is removed. */
export interface ContainerMetadata {
  readonly name: string;
  /** Counts containers made again under one name. @default 0 */
  readonly attempt?: number | undefined;
}

/** An environment variable. */
export interface KeyValue {
  readonly key: string;
  /** Bytes for a value that is not UTF-8 */
  readonly value: string | Uint8Array;
}

/** How a container is to be made. */
export interface ContainerConfig {
  readonly metadata: ContainerMetadata;
  readonly image: ImageSpec;
  /** Replaces the image's entry point, and drops its command */
  readonly command?: readonly string[] | undefined;
  /** Replaces the image's command */
  readonly args?: readonly string[] | undefined;
  /** @default the image's, else `/` */
  readonly workingDir?: string | undefined;
  /** Added to the image's; the same key replaces */
  readonly envs?: readonly KeyValue[] | undefined;
  readonly mounts?: readonly Mount[] | undefined;
  readonly devices?: readonly Device[] | undefined;
  readonly cdiDevices?: readonly CdiDevice[] | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Come back unchanged */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  /** Below the sandbox's log directory; absent: no log file */
  readonly logPath?: string | undefined;
  /** Whether the process gets an input. @default false */
  readonly stdin?: boolean | undefined;
  /** Whether the input ends with the first attached session. @default false */
  readonly stdinOnce?: boolean | undefined;
  /** A terminal; what goes to stderr arrives in stdout. @default false */
  readonly tty?: boolean | undefined;
  readonly linux?:
    | {
        readonly resources?: LinuxContainerResources | undefined;
        readonly securityContext?: LinuxContainerSecurityContext | undefined;
      }
    | undefined;
  /** @default the image's, else SIGTERM */
  readonly stopSignal?: SignalName | undefined;
}

/**
 * `created → running → exited`, never back. A start that fails leads to `exited`. `unknown` means that the runtime lost
 * track, e.g. over a restart; stopping the container settles it.
 */
export type ContainerState = "created" | "running" | "exited" | "unknown";

/** A container in a list. */
export interface Container {
  readonly id: string;
  readonly podSandboxId: string;
  readonly metadata: ContainerMetadata;
  readonly image: ImageSpec;
  readonly imageRef: string;
  /** Same text as `Image.id` */
  readonly imageId: string;
  readonly state: ContainerState;
  readonly createdAt: Nanoseconds;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface ContainerStatus extends Omit<Container, "podSandboxId"> {
  /** 0 before the start */
  readonly startedAt: Nanoseconds;
  /** 0 before the end */
  readonly finishedAt: Nanoseconds;
  /** 128 + n after signal n; meaningless unless exited */
  readonly exitCode: number;
  /** `Completed`, `Error`, `OOMKilled` or `StartError` once exited */
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
  /** As configured, without the runtime's own */
  readonly mounts: readonly Mount[];
  /** Absolute */
  readonly logPath?: string | undefined;
  /** Limits in force */
  readonly resources?: ContainerResources | undefined;
  /** Identity of the first process */
  readonly user?: { readonly linux: LinuxContainerUser } | undefined;
  readonly stopSignal?: SignalName | undefined;
}

export interface LinuxContainerUser {
  readonly uid: number;
  readonly gid: number;
  /** Includes `gid` */
  readonly supplementalGroups: readonly number[];
}

/** Every field that is set must match; an empty string means any. */
export interface ContainerFilter {
  /** The id, or a prefix that fits only one */
  readonly id?: string | undefined;
  readonly state?: ContainerState | undefined;
  readonly podSandboxId?: string | undefined;
  /** Every pair must be equal */
  readonly labelSelector?: Readonly<Record<string, string>> | undefined;
}

export interface ContainerRef {
  /** The id, or a prefix that fits only one */
  readonly containerId: string;
}

export interface CreateContainerRequest extends PodSandboxRef {
  readonly config: ContainerConfig;
  /** The one the sandbox was made with */
  readonly sandboxConfig: PodSandboxConfig;
}

export interface StopContainerRequest extends ContainerRef {
  /** Seconds between the stop signal and SIGKILL; 0 kills at once. @default 0 */
  readonly timeout?: number | undefined;
}

export interface SignalContainerRequest extends ContainerRef {
  readonly signal: SignalName;
}

export interface ContainerStatusRequest extends ContainerRef {
  /** Whether `info` is wanted. @default false */
  readonly verbose?: boolean | undefined;
}

export interface ContainerStatusResponse {
  readonly status: ContainerStatus;
  /** Each value a JSON text */
  readonly info?: Readonly<Record<string, string>> | undefined;
}

export interface UpdateContainerResourcesRequest extends ContainerRef {
  readonly linux?: LinuxContainerResources | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

export interface CheckpointContainerRequest extends ContainerRef {
  /** Archive to write on the host */
  readonly location: string;
  /** Seconds. @default 0 (the runtime's own limit) */
  readonly timeout?: number | undefined;
}

export interface CommitContainerRequest extends ContainerRef {
  /** Name and tag the image gets */
  readonly reference: string;
  /** Differences to the configuration of the container's image */
  readonly config?: Partial<ImageConfigChanges> | undefined;
  /** Stands in the image's history */
  readonly comment?: string | undefined;
}

/** What a committed image may say otherwise than the image it comes from. */
export interface ImageConfigChanges {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** `KEY=value`; the same key replaces */
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly user: string;
  /** Added; the same key replaces */
  readonly labels: Readonly<Record<string, string>>;
}
