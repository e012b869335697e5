export type {
  SandboxNetwork,
  SandboxNetworkCondition,
  SandboxNetworkSetup,
  SandboxNetworkSpec,
} from "./network/sandbox-network.ts";
