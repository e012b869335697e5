/** What a code means on every wire: its HTTP status and whether trying again can help. */
export interface ErrorCodeInfo {
  /** HTTP status of an answer that carries the code; `undefined` for codes that only appear in results */
  readonly httpStatus?: number;
  /** Default for `recoverable` and `retry_recommended` */
  readonly retryable: boolean;
}

const outcome = (retryable: boolean): ErrorCodeInfo => ({ retryable });
const answer = (httpStatus: number, retryable = false): ErrorCodeInfo => ({
  httpStatus,
  retryable,
});

/** Every error code Longshore itself produces. Stable across releases; switch on this, never on the message. */
export type ErrorCode =
  | "INVALID_BODY"
  | "VALIDATION_ERROR"
  | "MISSING_JOB_ID"
  | "UNSUPPORTED_PROTOCOL_VERSION"
  | "BAD_RUNTIME_MODE"
  | "RUNTIME_NOT_SUPPORTED"
  | "IMAGE_NOT_ALLOWED"
  | "POLICY_DENIED"
  | "UNAUTHENTICATED"
  | "SIGNATURE_INVALID"
  | "REPLAY_DETECTED"
  | "REQUEST_EXPIRED"
  | "SIGNER_MISMATCH"
  | "JOB_ID_ALREADY_EXISTS"
  | "IDEMPOTENCY_IN_PROGRESS"
  | "IDEMPOTENCY_KEY_REUSED"
  | "INVALID_STATE_TRANSITION"
  | "STATE_CONFLICT"
  | "LEASE_LOST"
  | "JOB_NOT_FINISHED"
  | "NOT_CANCELLABLE"
  | "QUEUE_FULL"
  | "WORKER_DRAINING"
  | "WORKER_ID_IN_USE"
  | "HANDLER_NOT_FOUND"
  | "DUPLICATE_HANDLER"
  | "PLUGIN_INVALID"
  | "CAPABILITY_MISMATCH"
  | "LIMIT_EXCEEDED"
  | "NOT_FOUND"
  | "EXECUTION_ERROR"
  | "NON_ZERO_EXIT"
  | "TIMEOUT"
  | "QUEUE_TIMEOUT"
  | "DEADLINE_EXCEEDED"
  | "CANCELLED"
  | "OOM_KILLED"
  | "RUNTIME_UNAVAILABLE"
  | "IMAGE_PULL_FAILED"
  | "IMAGE_NOT_FOUND"
  | "REGISTRY_AUTH_FAILED"
  | "IMAGE_CHECKSUM_MISMATCH"
  | "SANDBOX_NOT_FOUND"
  | "SANDBOX_CREATE_FAILED"
  | "SANDBOX_INVALID_STATE"
  | "POOL_EXHAUSTED"
  | "ADMISSION_DENIED"
  | "ADMISSION_INFEASIBLE"
  | "VM_START_FAILED"
  | "CLOUD_INIT_FAILED"
  | "VIRTIOFS_FAILED"
  | "WORKER_LOST"
  | "HEARTBEAT_TIMEOUT"
  | "SHUTDOWN"
  | "TRANSPORT_ERROR"
  | "IO_ERROR"
  | "SERIALIZATION_ERROR"
  | "CONFIG_ERROR"
  | "INTERNAL_ERROR";

/** What each code means. */
export const errorCodes: Readonly<Record<ErrorCode, ErrorCodeInfo>> = {
  INVALID_BODY: answer(400),
  VALIDATION_ERROR: answer(400),
  MISSING_JOB_ID: answer(400),
  UNSUPPORTED_PROTOCOL_VERSION: answer(400),
  BAD_RUNTIME_MODE: answer(400),
  RUNTIME_NOT_SUPPORTED: answer(422),
  IMAGE_NOT_ALLOWED: answer(403),
  POLICY_DENIED: answer(403),
  UNAUTHENTICATED: answer(401),
  SIGNATURE_INVALID: answer(401),
  REPLAY_DETECTED: answer(401),
  REQUEST_EXPIRED: answer(401),
  SIGNER_MISMATCH: answer(401),
  JOB_ID_ALREADY_EXISTS: answer(409),
  IDEMPOTENCY_IN_PROGRESS: answer(409),
  IDEMPOTENCY_KEY_REUSED: answer(422),
  INVALID_STATE_TRANSITION: answer(409),
  STATE_CONFLICT: answer(409),
  LEASE_LOST: answer(409),
  JOB_NOT_FINISHED: answer(409),
  NOT_CANCELLABLE: answer(409),
  QUEUE_FULL: answer(429, true),
  WORKER_DRAINING: answer(503, true),
  WORKER_ID_IN_USE: answer(409),
  HANDLER_NOT_FOUND: answer(422),
  DUPLICATE_HANDLER: answer(409),
  PLUGIN_INVALID: answer(500),
  CAPABILITY_MISMATCH: answer(422),
  LIMIT_EXCEEDED: answer(422),
  NOT_FOUND: answer(404),
  EXECUTION_ERROR: outcome(true),
  NON_ZERO_EXIT: outcome(false),
  TIMEOUT: outcome(true),
  QUEUE_TIMEOUT: outcome(true),
  DEADLINE_EXCEEDED: answer(422),
  CANCELLED: outcome(false),
  OOM_KILLED: outcome(false),
  RUNTIME_UNAVAILABLE: outcome(true),
  IMAGE_PULL_FAILED: outcome(true),
  IMAGE_NOT_FOUND: outcome(false),
  REGISTRY_AUTH_FAILED: outcome(false),
  IMAGE_CHECKSUM_MISMATCH: outcome(false),
  SANDBOX_NOT_FOUND: answer(404),
  SANDBOX_CREATE_FAILED: answer(500),
  SANDBOX_INVALID_STATE: answer(409),
  POOL_EXHAUSTED: answer(429, true),
  ADMISSION_DENIED: answer(403),
  ADMISSION_INFEASIBLE: answer(422),
  VM_START_FAILED: answer(500),
  CLOUD_INIT_FAILED: answer(500),
  VIRTIOFS_FAILED: answer(500),
  WORKER_LOST: outcome(true),
  HEARTBEAT_TIMEOUT: outcome(true),
  SHUTDOWN: outcome(true),
  TRANSPORT_ERROR: answer(500, true),
  IO_ERROR: answer(500, true),
  SERIALIZATION_ERROR: answer(500),
  CONFIG_ERROR: answer(500),
  INTERNAL_ERROR: answer(500),
};

const known: Readonly<Record<string, ErrorCodeInfo>> = errorCodes;

/** What Longshore knows of a code; a code of a third party counts as not retryable. */
export function errorCodeInfo(code: string): ErrorCodeInfo {
  return (
    (Object.hasOwn(errorCodes, code) ? known[code] : undefined) ?? {
      httpStatus: 500,
      retryable: false,
    }
  );
}
