export { openRuntime, type RuntimeOptions } from "./open-runtime.ts";
export type { Runtime } from "./calls/runtime-calls.ts";
export type { RuntimeImages } from "./engine/engine.ts";
export type { AdmissionOptions, Quota } from "./admission/admission.ts";
export { criLogWriter, type CriLogWriter } from "./logs/cri-log-writer.ts";
export { readContainerLog, type ReadLogOptions } from "./logs/read-container-log.ts";
export type { LogEntry } from "./logs/log-line.ts";
export { policedRuntime } from "./policy/policed-runtime.ts";
export type { PolicySubject } from "./policy/runtime-guard.ts";
export type { Demand } from "./admission/demand.ts";
export type {
  SandboxNetwork,
  SandboxNetworkCondition,
  SandboxNetworkSetup,
  SandboxNetworkSpec,
} from "./network/sandbox-network.ts";
export { connectRuntime, type ConnectRuntimeOptions } from "./remote/connect-runtime.ts";
export { serveRuntime } from "./remote/serve-runtime.ts";
export type { RuntimeServer, ServeRuntimeOptions } from "./remote/serve-runtime.ts";
export { bridgeNetwork } from "./network/bridge-network.ts";
export type { BridgeNetworkOptions } from "./network/bridge-network-options.ts";
export { loopbackNetwork } from "./network/loopback-network.ts";
export type { NetworkAllowance } from "./network/network-rules.ts";
export type { EgressOptions } from "./egress/egress-proxy.ts";
export type { EgressLimits } from "./egress/egress-limits.ts";
export type { ResolveHost } from "./egress/checked-lookup.ts";
export type { EgressDecision, EgressDenialReason } from "./egress/decision-events.ts";
