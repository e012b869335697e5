// What clients need of the protocol, and nothing that needs Node: for browsers, too.
export { LongshoreError, isLongshoreError } from "./errors/longshore-error.ts";
export type { LongshoreErrorOptions } from "./errors/longshore-error.ts";
export {
  decodeJobDocument,
  decodeJobError,
  decodeJobEvent,
  decodeJobResult,
  encodeJobDocument,
  encodeJobError,
  encodeJobEvent,
  encodeJobResult,
  type WireDocument,
} from "./job/codec.ts";
export { isTerminal } from "./job/job-state.ts";
