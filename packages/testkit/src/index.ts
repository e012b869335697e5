export { describeJobStoreConformance } from "./job-store/describe-job-store.ts";
export type { JobStoreSuiteOptions } from "./job-store/describe-job-store.ts";
export { sampleDocument, sampleJob, sampleResult } from "./sample-job.ts";
export type { SkippedCases } from "./suite-cases.ts";
export { describeJobTransportConformance } from "./job-transport/describe-job-transport.ts";
export type {
  JobTransportSuiteOptions,
  TransportHarness,
} from "./job-transport/describe-job-transport.ts";
export { recordingSink, type RecordingSink } from "./job-transport/recording-sink.ts";
export { describeHandlerConformance } from "./handler/describe-handler.ts";
export type { HandlerSuiteOptions } from "./handler/describe-handler.ts";
export { describeEventBusConformance } from "./event-bus/describe-event-bus.ts";
export type { EventBusSuiteOptions } from "./event-bus/describe-event-bus.ts";
export type { BusHooks, CreateBus } from "./event-bus/bus-fixture.ts";
export { describePolicyConformance } from "./policy/describe-policy.ts";
export type { PolicySuiteOptions } from "./policy/describe-policy.ts";
export { describeRuntimeConformance, runtimeCaseNames } from "./runtime-client/describe-runtime.ts";
export {
  runtimeAbilities,
  runtimeSuiteFiles,
  runtimeSuiteImageConfig,
  runtimeSuiteParts,
} from "./runtime-client/suite-options.ts";
export type {
  RuntimeAbility,
  RuntimeHarness,
  RuntimeSuiteImages,
  RuntimeSuiteOptions,
  RuntimeSuitePart,
} from "./runtime-client/suite-options.ts";
export { leakChecker } from "./leaks/leak-checker.ts";
export type { LeakChecker, LeakCheckerOptions } from "./leaks/leak-checker.ts";
export type { Leak } from "./leaks/leak.ts";
export { describeWorkerHttpApi } from "./worker-http-api/describe-worker-http-api.ts";
export type { WorkerHttpApiSuiteOptions } from "./worker-http-api/describe-worker-http-api.ts";
export type { WorkerHttpApiOperations } from "./worker-http-api/api-case.ts";
export type { WorkerHttpApiTarget } from "./worker-http-api/api-client.ts";
