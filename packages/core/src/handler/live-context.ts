import { mkdirSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { LongshoreError } from "../errors/longshore-error.ts";
import type { Artifact, JobOutcome } from "../job/job-result.ts";
import type {
  ArtifactOptions,
  ArtifactSource,
  HandlerContext,
  ProgressReport,
} from "./handler-context.ts";
import { artifactWriter, type ArtifactWriter } from "./artifact-writer.ts";
import type { HandlerRun } from "./run-handler.ts";

/**
 * The context of one attempt. It goes dead when the attempt ends: a handler that was given up on cannot write into a
 * later attempt of its job.
 */
export class LiveContext implements HandlerContext {
  readonly #run: HandlerRun;
  #workDir: string | undefined;
  #artifacts: ArtifactWriter | undefined;
  #outcome: JobOutcome = {};
  #hasEnded = false;

  constructor(run: HandlerRun) {
    this.#run = run;
  }

  get jobId(): string {
    return this.#run.document.jobId;
  }
  get operation(): string {
    return this.#run.document.operation;
  }
  get attempt(): number {
    return this.#run.attempt;
  }
  get maxAttempts(): number {
    return this.#run.document.execution.maxAttempts;
  }
  get workerId(): string {
    return this.#run.workerId;
  }
  get document(): HandlerContext["document"] {
    return this.#run.document;
  }
  get signal(): AbortSignal {
    return this.#run.signal;
  }
  get logger(): HandlerContext["logger"] {
    return this.#run.logger;
  }
  get checkpoint(): unknown {
    return this.#run.checkpoint;
  }

  /** Made when it is first asked for: most handlers never do, and a directory costs more than their whole job. */
  get workDir(): string {
    if (this.#workDir === undefined) {
      this.#assertLive();
      const name = `${this.jobId}-${this.attempt}-${randomBytes(6).toString("hex")}`;
      this.#workDir = join(this.#run.workRoot, name);
      mkdirSync(this.#workDir, { recursive: true, mode: 0o700 });
    }
    return this.#workDir;
  }

  /** The directory, when the handler asked for it. */
  get usedWorkDir(): string | undefined {
    return this.#workDir;
  }

  /** What was reported and stored so far. */
  get outcome(): JobOutcome {
    const artifacts = this.#artifacts?.list() ?? [];
    if (artifacts.length === 0) return this.#outcome;
    return { ...this.#outcome, outputs: { ...this.#outcome.outputs, artifacts } };
  }

  /** Nothing that the handler does from now on counts. */
  end(): void {
    this.#hasEnded = true;
  }

  get #isOver(): boolean {
    return this.#hasEnded || this.#run.isGivenUp?.() === true;
  }

  progress(report: ProgressReport): void {
    if (this.#isOver) return;
    this.#run.onHeartbeat?.();
    this.#run.events.progress(report);
  }

  log(message: string, details?: Readonly<Record<string, unknown>>): void {
    if (this.#isOver) return;
    this.#run.onHeartbeat?.();
    this.#run.events.log(message, details);
  }

  heartbeat(): void {
    if (!this.#isOver) this.#run.onHeartbeat?.();
  }

  report(outcome: JobOutcome): void {
    if (!this.#isOver) this.#outcome = { ...this.#outcome, ...outcome };
  }

  async artifact(
    path: string,
    source: ArtifactSource,
    options: ArtifactOptions = {},
  ): Promise<Artifact> {
    this.#assertLive();
    this.#artifacts ??= artifactWriter(this.#run.artifactsRoot, this.jobId, this.#run.limits);
    // Not bound to the signal: a handler that was told to end may still store what it has.
    const artifact = await this.#artifacts.write(path, source, options);
    if (!this.#isOver) this.#run.events.artifact(artifact);
    return artifact;
  }

  async saveCheckpoint(value: unknown): Promise<void> {
    this.#assertLive();
    await this.#run.saveCheckpoint(value);
  }

  #assertLive(): void {
    if (!this.#isOver) return;
    throw new LongshoreError(
      "STATE_CONFLICT",
      `Attempt ${this.attempt} of job ${this.jobId} is over.`,
    );
  }
}
