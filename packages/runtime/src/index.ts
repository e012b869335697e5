export type {
  SandboxNetwork,
  SandboxNetworkCondition,
  SandboxNetworkSetup,
  SandboxNetworkSpec,
} from "./network/sandbox-network.ts";
export { bridgeNetwork, type BridgeNetworkOptions } from "./network/bridge-network.ts";
export type { NetworkAllowance } from "./network/network-rules.ts";
export type { EgressOptions } from "./egress/egress-proxy.ts";
export type { EgressLimits } from "./egress/egress-limits.ts";
export type { ResolveHost } from "./egress/checked-lookup.ts";
export type { EgressDecision, EgressDenialReason } from "./egress/decision-events.ts";
export { connectRuntime, type ConnectRuntimeOptions } from "./remote/connect-runtime.ts";
export { serveRuntime } from "./remote/serve-runtime.ts";
export type { RuntimeServer, ServeRuntimeOptions } from "./remote/serve-runtime.ts";
