import { isLongshoreError } from "@longshore/core";

/** What the command's exit code says. Documented in the README; scripts rely on it. */
export const exitCodes = {
  ok: 0,
  /** A job ended, and not as `completed`; a check of `doctor` or `image verify` failed; an image could not be pulled */
  failed: 1,
  /** Wrong flags, or a configuration or an image reference that is not one */
  usage: 2,
  /** The worker refused the job, a registry the credentials, or this machine cannot do it */
  refused: 3,
  /** No such job or image */
  notFound: 4,
  /** Something broke that is not the job's fault */
  internal: 70,
  interrupted: 130,
} as const;

/** What `run` and `exec` say besides their command's own exit code; shells and container tools use the same numbers. */
export const containerExitCodes = {
  /** Longshore itself failed, or refused */
  failed: 125,
  /** The command is there and cannot be run */
  cannotRun: 126,
  notFound: 127,
} as const;

const byCode: Readonly<Record<string, number>> = {
  CONFIG_ERROR: exitCodes.usage,
  PLUGIN_INVALID: exitCodes.usage,
  WORKER_ID_IN_USE: exitCodes.usage,
  INVALID_BODY: exitCodes.usage,
  MISSING_JOB_ID: exitCodes.usage,
  UNSUPPORTED_PROTOCOL_VERSION: exitCodes.usage,
  VALIDATION_ERROR: exitCodes.usage,
  NOT_FOUND: exitCodes.notFound,
  IMAGE_NOT_FOUND: exitCodes.notFound,
  SANDBOX_NOT_FOUND: exitCodes.notFound,
  IMAGE_PULL_FAILED: exitCodes.failed,
  IMAGE_CHECKSUM_MISMATCH: exitCodes.failed,
  CANCELLED: exitCodes.interrupted,
  IO_ERROR: exitCodes.internal,
  TRANSPORT_ERROR: exitCodes.internal,
  INTERNAL_ERROR: exitCodes.internal,
};

export function exitCodeFor(error: unknown): number {
  if (!isLongshoreError(error)) return exitCodes.internal;
  return byCode[error.code] ?? exitCodes.refused;
}
