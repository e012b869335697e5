export type { Abortable } from "./abortable.ts";
export { errorCodes, errorCodeInfo } from "./errors/error-codes.ts";
export type { ErrorCode, ErrorCodeInfo } from "./errors/error-codes.ts";
export { hasCode } from "./errors/has-code.ts";
export { LongshoreError, isLongshoreError } from "./errors/longshore-error.ts";
export type { LongshoreErrorOptions } from "./errors/longshore-error.ts";
export { toJobError, type JobError } from "./errors/job-error.ts";

export { jobStates, canTransition, assertTransition, isTerminal } from "./job/job-state.ts";
export type { JobState, TerminalJobState } from "./job/job-state.ts";
export type * from "./job/job-document.ts";
export type * from "./job/job-result.ts";
export type { JobEvent } from "./job/job-event.ts";
export { createJobId, isJobId } from "./job/job-id.ts";
export { createJobDocument, type JobInput } from "./job/create-job-document.ts";
export { parseJobDocument, type ParsedJob, type ParseOptions } from "./job/parse-job-document.ts";
export { jobJsonSchemas } from "./job/job-json-schemas.ts";
export { encodeV0Result, toV0State } from "./job/v0-document.ts";
export { documentDigest, payloadDigest } from "./job/digest.ts";
export type { ValidationIssue } from "./job/validation-error.ts";
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

export type * from "./store/job-store.ts";
export { keptEvents, trimEvery } from "./store/job-event-log.ts";
export type { JobEventLog, ReadEventsOptions } from "./store/job-event-log.ts";
export { memoryJobStore, type MemoryJobStoreOptions } from "./store/memory-job-store.ts";
export * as storeRules from "./store/store-rules.ts";
export { formatCursor, parseCursor, pageLimit, type JobCursor } from "./store/job-query.ts";
export type * from "./transport/job-transport.ts";
export { memoryQueue, memoryTransport } from "./transport/memory-transport.ts";
export type * from "./transport/memory-transport.ts";

export type * from "./handler/handler.ts";
export type * from "./handler/handler-context.ts";
export { defineHandler } from "./handler/define-handler.ts";
export { assertArtifactPath } from "./handler/artifact-path.ts";
export { handledOperation } from "./handler/handled-operation.ts";
export { handlerRegistry } from "./handler/handler-registry.ts";
export type { HandlerRegistry, RegisterOptions } from "./handler/handler-registry.ts";
export { echoHandler, type EchoResult } from "./handler/echo-handler.ts";
export { jobEventEmitter } from "./handler/job-event-emitter.ts";
export type { JobEventEmitter, JobEventEmitterOptions } from "./handler/job-event-emitter.ts";
export { runHandler } from "./handler/run-handler.ts";
export type { HandlerLimits, HandlerRun } from "./handler/handler-run.ts";
export type { HandlerRunOutcome } from "./handler/run-handler.ts";

export { artifactMatcher } from "./command-job/artifact-matcher.ts";
export { BoundedOutput, type CapturedOutput } from "./command-job/bounded-output.ts";
export { collectArtifacts } from "./command-job/collect-artifacts.ts";
export {
  artifactsDirOf,
  give,
  layDownFiles,
  startDirectory,
  writeFiles,
} from "./command-job/job-files.ts";
export type { JobFilesOptions, JobUser } from "./command-job/job-files.ts";
export { jobInput } from "./command-job/job-input.ts";
export type { JobInput as CommandInput, JobInputOptions } from "./command-job/job-input.ts";
export { outputLimits, type OutputLimits } from "./command-job/output-limits.ts";
export { onLine } from "./command-job/output-lines.ts";
export { parseOutput } from "./command-job/parse-output.ts";
export { isProcessGone, processIdentity } from "./command-job/process-identity.ts";
export { isProcessAlive, ownProcessIdentity, startTimeOf } from "./process/process-identity.ts";
export type { ProcessIdentity } from "./process/process-identity.ts";
export { ownerFile } from "./process/owner-file.ts";
export type { OwnerFile, OwnerFileOptions } from "./process/owner-file.ts";

export type * from "./plugin/plugin.ts";
export { definePlugin, pluginApiVersion } from "./plugin/define-plugin.ts";
export { loadPlugins, type LoadPluginsOptions } from "./plugin/load-plugins.ts";
export { setupPlugins } from "./plugin/setup-plugins.ts";

export type * from "./events/event-bus.ts";
export { eventTopic } from "./events/event-topic.ts";
export { memoryEventBus, type MemoryEventBusOptions } from "./events/memory-event-bus.ts";

export type * from "./policy/policy.ts";
export { allowAllPolicy, denyAllPolicy } from "./policy/fixed-policies.ts";
export { auditedPolicy, type PolicyDenial } from "./policy/audited-policy.ts";
export { admissionRules, checkAdmission, effectiveTimeoutMs } from "./policy/admission-rules.ts";
export type { AdmissionOverrides, AdmissionRules } from "./policy/admission-rules.ts";
export { jobGate } from "./policy/job-gate.ts";
export type {
  AdmitOptions,
  JobGate,
  JobGateOptions,
  SignatureVerifier,
  SignedBy,
} from "./policy/job-gate.ts";
export { isImageMatch, normalizeImage } from "./policy/image-pattern.ts";
export { eventObject, jobObject, workerObject } from "./policy/resource-names.ts";

export { canonicalJson } from "./envelope/canonical-json.ts";
export { envelopePurposes } from "./envelope/envelope.ts";
export type { EnvelopeBody, EnvelopePurpose, SignedEnvelope } from "./envelope/envelope.ts";
export type { EnvelopeRefusal } from "./envelope/envelope-error.ts";
export { jobSignatureVerifier, signJob, verifyJobSignature } from "./envelope/job-signature.ts";
export type { JobSigner, VerifyJobOptions } from "./envelope/job-signature.ts";
export { loadKeySet, parseKeySet, type KeySet, type VerifyKey } from "./envelope/key-set.ts";
export { memoryReplayCache } from "./envelope/replay-cache.ts";
export type { NonceUse, ReplayCache, ReplayCacheOptions } from "./envelope/replay-cache.ts";
export { signEnvelope, type EnvelopeInput } from "./envelope/sign-envelope.ts";
export { loadSigningKey, parseSigningKey, type SigningKey } from "./envelope/signing-key.ts";
export { verifyEnvelope } from "./envelope/verify-envelope.ts";
export type { VerifiedEnvelope, VerifyOptions } from "./envelope/verify-envelope.ts";

export type * from "./capability/capabilities.ts";
export { decodeCapabilities, encodeCapabilities } from "./capability/capabilities-codec.ts";
export { detectCapabilities } from "./capability/detect-capabilities.ts";
export type {
  CapabilityReport,
  CapabilitySource,
  DeclaredCapabilities,
  DetectOptions,
  RuntimeClaim,
} from "./capability/detect-capabilities.ts";
export { findCommand } from "./capability/find-command.ts";
export { findInterpreters } from "./capability/find-interpreters.ts";
export { isMisplaced, matches } from "./capability/matches.ts";
export type {
  Match,
  MatchedWorker,
  MismatchCode,
  MismatchReason,
  Taint,
} from "./capability/matches.ts";
export { normalizeRuntime } from "./capability/runtime-names.ts";
export { workerVersion } from "./capability/worker-version.ts";

export { defaultHome } from "./config/default-home.ts";
export { listenAddress } from "./config/config-schema.ts";
export { configJsonSchema, loadConfig } from "./config/load-config.ts";
export type { LoadConfigOptions, LoadedConfig } from "./config/load-config.ts";
export type { ConfigSource, WorkerConfig } from "./config/worker-config.ts";

export { silentLogger, type Logger, type LogMethod } from "./telemetry/logger.ts";
export { logJobEvent } from "./telemetry/log-job-event.ts";
export { activeTraceparent } from "./telemetry/trace-context.ts";
export { workerTelemetry } from "./telemetry/worker-telemetry.ts";
export type { WorkerTelemetry, WorkerTelemetryOptions } from "./telemetry/worker-telemetry.ts";
export type { InHandlerSpan } from "./telemetry/job-spans.ts";

export { createScheduler } from "./executor/scheduler.ts";
export type { QueueEntry, Scheduler, SchedulerOptions } from "./executor/scheduler.ts";
export { startWorker } from "./worker/start-worker.ts";
export type { TransportConfig, WorkerOptions } from "./worker/worker-options.ts";
export type * from "./worker/worker.ts";
export type { WorkerState } from "./worker/worker-state.ts";

export type * from "./runtime/runtime-client.ts";
export type * from "./runtime/runtime-status.ts";
export type * from "./runtime/pod-sandbox.ts";
export type * from "./runtime/container.ts";
export type * from "./runtime/container-event.ts";
export type * from "./runtime/mount.ts";
export type * from "./runtime/resources.ts";
export type * from "./runtime/security-context.ts";
export type * from "./runtime/exec-session.ts";
export type * from "./runtime/stats.ts";
export type * from "./runtime/metrics.ts";
export type { SignalName } from "./runtime/signal-name.ts";
export { nanosecondsFromMs, nanosecondsToMs } from "./runtime/nanoseconds.ts";
export type { Nanoseconds } from "./runtime/nanoseconds.ts";
export type * from "./runtime/sandbox-driver.ts";
export { containerUser, mergeImageConfig } from "./runtime/process-spec.ts";
export type { ContainerProcess } from "./runtime/process-spec.ts";
export { openSandbox } from "./runtime/open-sandbox.ts";
export { attachSandbox, listSandboxes } from "./runtime/attach-sandbox.ts";
export type { ListedSandbox, ListSandboxesOptions } from "./runtime/attach-sandbox.ts";
export { ensureSandbox, type EnsureOptions } from "./runtime/ensure-sandbox.ts";
export {
  decodeSandboxSpec,
  encodeSandboxSpec,
  sandboxJsonSchema,
} from "./runtime/sandbox-spec-schema.ts";
export type * from "./runtime/sandbox-spec.ts";
export type * from "./runtime/sandbox.ts";
export type * from "./runtime/sandbox-process.ts";
export { CommandError, type CommandFailure } from "./runtime/command-error.ts";
export type { ExposedPort, ExposeOptions } from "./runtime/expose-port.ts";
export type * from "./runtime/sandbox-files.ts";
export type * from "./runtime/file-watch.ts";
export { openFileWatch, type FileWatchSource } from "./runtime/open-file-watch.ts";
export type { SandboxFileTree } from "./runtime/sandbox-file-tree.ts";
export type { UnpackOptions } from "./runtime/local-archive.ts";
export type * from "./image/image.ts";
export type * from "./image/image-client.ts";
export type * from "./image/image-config.ts";
export type * from "./image/rootfs.ts";
export type * from "./image/rootfs-provider.ts";
export type * from "./image/image-config-changes.ts";
export type * from "./image/rootfs-committer.ts";
export type * from "./workflow/workflow.ts";
export type * from "./workflow/workflow-client.ts";
export type * from "./workflow/workflow-run.ts";
