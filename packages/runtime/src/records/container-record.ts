import type {
  ContainerConfig,
  ContainerState,
  KeyValue,
  LinuxContainerResources,
  LinuxContainerUser,
  Mount,
  Nanoseconds,
  ProcessSpec,
  Rootfs,
  SignalName,
} from "@longshore/core";

/** What is written down of a container: enough to answer for it, and to start it, after a restart. */
export interface ContainerRecord {
  readonly id: string;
  readonly sandboxId: string;
  readonly config: ContainerConfig;
  readonly imageId: string;
  readonly imageRef: string;
  readonly createdAt: Nanoseconds;
  readonly state: ContainerState;
  readonly startedAt: Nanoseconds;
  readonly finishedAt: Nanoseconds;
  readonly exitCode: number;
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
  readonly user?: LinuxContainerUser | undefined;
  readonly stopSignal: SignalName;
  /** Limits in force */
  readonly resources?: LinuxContainerResources | undefined;
  readonly isPaused: boolean;
  /** Image and configuration put together */
  readonly process: ProcessSpec;
  readonly rootfs: Rootfs;
  /** The configuration's mounts with images as host paths, and the network's files */
  readonly driverMounts: readonly Mount[];
  /** Absolute */
  readonly logPath?: string | undefined;
}

/** Bytes cannot stand in JSON; whoever writes a label cannot make what is read back something else. */
type StoredText = string | { readonly base64: string };

type Stored = Omit<
  ContainerRecord,
  "config" | "process" | "createdAt" | "startedAt" | "finishedAt"
> & {
  readonly version: 1;
  readonly createdAt: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly config: Omit<ContainerConfig, "envs"> & {
    readonly envs?: readonly { readonly key: string; readonly value: StoredText }[];
  };
  readonly process: Omit<ProcessSpec, "env"> & { readonly env: readonly StoredText[] };
};

export function encodeContainer(record: ContainerRecord): string {
  const { config, process, createdAt, startedAt, finishedAt } = record;
  const { envs, ...plain } = config;
  const stored: Stored = {
    ...record,
    version: 1,
    createdAt: String(createdAt),
    startedAt: String(startedAt),
    finishedAt: String(finishedAt),
    config: {
      ...plain,
      ...(envs !== undefined && {
        envs: envs.map(({ key, value }) => ({ key, value: toStored(value) })),
      }),
    },
    process: { ...process, env: process.env.map(toStored) },
  };
  return JSON.stringify(stored);
}

/** @param parsed JSON of {@link encodeContainer} */
export function decodeContainer(parsed: unknown): ContainerRecord {
  const stored = parsed as Stored;
  const { version: _, config, process, createdAt, startedAt, finishedAt, ...rest } = stored;
  const { envs, ...plain } = config;
  return {
    ...rest,
    createdAt: BigInt(createdAt),
    startedAt: BigInt(startedAt),
    finishedAt: BigInt(finishedAt),
    config: {
      ...plain,
      ...(envs !== undefined && {
        envs: envs.map(({ key, value }): KeyValue => ({ key, value: fromStored(value) })),
      }),
    },
    process: { ...process, env: process.env.map(fromStored) },
  };
}

function toStored(value: string | Uint8Array): StoredText {
  return typeof value === "string" ? value : { base64: Buffer.from(value).toString("base64") };
}

function fromStored(value: StoredText): string | Uint8Array {
  return typeof value === "string" ? value : Buffer.from(value.base64, "base64");
}
