import type { LinuxContainerResources, Nanoseconds, PodSandboxConfig } from "@longshore/core";
import type { SandboxNetworkSetup } from "../network/sandbox-network.ts";

/** What is written down of a sandbox. */
export interface SandboxRecord {
  readonly id: string;
  /** Without the values of secrets */
  readonly config: PodSandboxConfig;
  /** As it was asked for; `""` for the default one */
  readonly runtimeHandler: string;
  /** Name of the driver that made it */
  readonly driver: string;
  readonly createdAt: Nanoseconds;
  /** `creating` ends in nothing, the others are shown */
  readonly stage: "creating" | "ready" | "notready";
  /** Whether driver and network have given back what they held; a sandbox that is `notready` may still hold it */
  readonly isTornDown: boolean;
  readonly network?: SandboxNetworkSetup | undefined;
  /** Whether the driver made the network, which has only loopback; the engine's network knows nothing of it then */
  readonly hasDriverLoopback?: boolean | undefined;
  /** Who it counts for */
  readonly subject?: string | undefined;
  /** What the pod as a whole may use now, when it was changed */
  readonly resources?: LinuxContainerResources | undefined;
  readonly overhead?: LinuxContainerResources | undefined;
}

type Stored = Omit<SandboxRecord, "createdAt"> & {
  readonly version: 1;
  readonly createdAt: string;
};

export function encodeSandbox(record: SandboxRecord): string {
  const stored: Stored = {
    ...record,
    version: 1,
    createdAt: String(record.createdAt),
    config: withoutSecrets(record.config),
  };
  return JSON.stringify(stored);
}

/** @param parsed JSON of {@link encodeSandbox} */
export function decodeSandbox(parsed: unknown): SandboxRecord {
  const { version: _, createdAt, ...rest } = parsed as Stored;
  return { ...rest, createdAt: BigInt(createdAt) };
}

/** The configuration as it may be kept and shown: placeholders without what they stand for. */
export function withoutSecrets(config: PodSandboxConfig): PodSandboxConfig {
  const { egress } = config;
  if (egress?.secrets === undefined) return config;
  const secrets = egress.secrets.map((secret) => ({ ...secret, value: "" }));
  return { ...config, egress: { ...egress, secrets } };
}
