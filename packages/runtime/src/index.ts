export type {
  SandboxNetwork,
  SandboxNetworkCondition,
  SandboxNetworkSetup,
  SandboxNetworkSpec,
} from "./network/sandbox-network.ts";
export { connectRuntime, type ConnectRuntimeOptions } from "./remote/connect-runtime.ts";
export { serveRuntime } from "./remote/serve-runtime.ts";
export type { RuntimeServer, ServeRuntimeOptions } from "./remote/serve-runtime.ts";
