export type { Abortable } from "./abortable.ts";
export {
  errorCodes,
  errorCodeInfo,
  type ErrorCode,
  type ErrorCodeInfo,
} from "./errors/error-codes.ts";
export {
  LongshoreError,
  isLongshoreError,
  type LongshoreErrorOptions,
} from "./errors/longshore-error.ts";
export { toJobError, type JobError } from "./errors/job-error.ts";
export {
  jobStates,
  canTransition,
  assertTransition,
  isTerminal,
  type JobState,
  type TerminalJobState,
} from "./job/job-state.ts";
export type * from "./job/job-document.ts";
export type * from "./job/job-result.ts";
export type { JobEvent } from "./job/job-event.ts";
export type * from "./store/job-store.ts";
export type * from "./transport/job-transport.ts";
export type * from "./handler/handler.ts";
export type * from "./handler/handler-context.ts";
export type * from "./plugin/plugin.ts";
export type * from "./events/event-bus.ts";
export type * from "./policy/policy.ts";
export { silentLogger, type Logger, type LogMethod } from "./telemetry/logger.ts";
