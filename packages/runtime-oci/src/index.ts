export { buildContainerSpec } from "./spec/build-container-spec.ts";
export { buildExecProcess } from "./spec/build-exec-process.ts";
export type {
  ContainerSpecInput,
  ProcessInput,
  SandboxFiles,
} from "./spec/container-spec-input.ts";
export { readHostFacts, type HostFacts } from "./spec/host-facts.ts";
export type { NamespacePaths } from "./spec/namespaces.ts";
export type * from "./spec/oci-spec.ts";
export { parseRuntimeFeatures, type RuntimeFeatures } from "./spec/runtime-features.ts";
export type { CapabilityName } from "./spec/capability-names.ts";
