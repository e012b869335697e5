// The errors alone: for threads and commands that start often, which the rest of the package would slow down.
export {
  errorCodes,
  errorCodeInfo,
  type ErrorCode,
  type ErrorCodeInfo,
} from "./errors/error-codes.ts";
export { hasCode } from "./errors/has-code.ts";
export {
  LongshoreError,
  isLongshoreError,
  type LongshoreErrorOptions,
} from "./errors/longshore-error.ts";
