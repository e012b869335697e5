import type { Capabilities } from "../capability/capabilities.ts";
import { isMisplaced, matches, type Taint } from "../capability/matches.ts";
import { LongshoreError } from "../errors/longshore-error.ts";
import { handledOperation } from "../handler/handled-operation.ts";
import type { Handler } from "../handler/handler.ts";
import type { HandlerRegistry } from "../handler/handler-registry.ts";
import type { JobDocument } from "../job/job-document.ts";
import type { AdmissionRules } from "../policy/admission-rules.ts";
import { jobGate, type AdmitOptions, type SignatureVerifier } from "../policy/job-gate.ts";
import type { Policy } from "../policy/policy.ts";

export interface IntakeOptions {
  readonly workerId: string;
  readonly pool: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
  readonly policy: Policy;
  readonly rules: AdmissionRules;
  readonly verifySignature: SignatureVerifier | undefined;
  readonly capabilities: Capabilities;
  readonly registry: HandlerRegistry;
  /** Whether a job runs on this worker now */
  isRunning(jobId: string): boolean;
  readonly now: () => number;
}

/** Decides whether a valid document becomes a job of this worker. */
export interface Intake {
  /** Resolves with the subject it is let in for when the job may be stored; throws what is wrong with it. */
  admit(document: JobDocument, options: AdmitOptions): Promise<string>;
  /** The handler that runs a job, by its runtime mode and operation. */
  findHandler(document: JobDocument): Handler | undefined;
}

export function createIntake(options: IntakeOptions): Intake {
  const { policy, rules, verifySignature, registry, now } = options;
  const passGate = jobGate({ policy, rules, verifySignature, who: "worker", now });
  const worker = {
    workerId: options.workerId,
    pool: options.pool,
    labels: options.labels,
    taints: options.taints,
    capabilities: options.capabilities,
    isRunning: options.isRunning,
  };

  function findHandler(document: JobDocument): Handler | undefined {
    return registry.resolve(handledOperation(document));
  }

  function checkMatch(document: JobDocument): void {
    const isAnyones =
      document.constraints === undefined &&
      document.routing === undefined &&
      document.runtime === undefined &&
      options.taints.length === 0;
    if (isAnyones) return;
    const match = matches(document, worker);
    if (match.ok) return;
    throw new LongshoreError(
      "CAPABILITY_MISMATCH",
      `This worker cannot run the job: ${match.reasons.map((reason) => reason.message).join(" ")}`,
      {
        phase: "validation",
        details: { reasons: match.reasons },
        // The worker it is routed to may come by, for as long as the job may wait.
        retryable:
          isMisplaced(match.reasons) && now() < Date.parse(document.createdAt) + waitMs(document),
      },
    );
  }

  function checkHandler(document: JobDocument): void {
    if (findHandler(document) !== undefined) return;
    const mode = document.runtime?.mode ?? "handler";
    if (mode !== "handler") {
      throw new LongshoreError(
        "RUNTIME_NOT_SUPPORTED",
        `Nothing on this worker runs jobs of mode "${mode}"; register a handler for "${mode}.run".`,
        { phase: "validation", details: { mode } },
      );
    }
    throw new LongshoreError(
      "HANDLER_NOT_FOUND",
      `No handler for the operation "${document.operation}" is registered.`,
      {
        phase: "validation",
        details: { operation: document.operation, operations: registry.operations() },
      },
    );
  }

  return {
    findHandler,
    async admit(document, admitOptions) {
      const subject = await passGate(document, admitOptions);
      checkHandler(document);
      checkMatch(document);
      return subject;
    },
  };
}

function waitMs(document: JobDocument): number {
  return document.execution.queueTimeoutSeconds * 1_000;
}
