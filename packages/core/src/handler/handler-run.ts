import type { JobDocument } from "../job/job-document.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { ArtifactLimits } from "./artifact-writer.ts";
import type { Handler } from "./handler.ts";
import type { JobEventEmitter } from "./job-event-emitter.ts";

export interface HandlerLimits extends ArtifactLimits {
  /** Size of the result's data, and of a checkpoint, as JSON. @default 8_388_608 */
  readonly maxResultBytes?: number | undefined;
}

/** One attempt of one job, with everything its handler may touch. */
export interface HandlerRun {
  readonly handler: Handler;
  readonly document: JobDocument;
  readonly attempt: number;
  readonly workerId: string;
  readonly signal: AbortSignal;
  readonly logger: Logger;
  /** Directory in which the attempt's own is made */
  readonly workRoot: string;
  readonly artifactsRoot: string;
  readonly checkpoint: unknown;
  readonly events: JobEventEmitter;
  saveCheckpoint(value: unknown): Promise<void>;
  readonly onHeartbeat?: (() => void) | undefined;
  /** Whether the handler was given up on: what it still does counts no more */
  readonly isGivenUp?: (() => boolean) | undefined;
  readonly limits?: HandlerLimits | undefined;
}
