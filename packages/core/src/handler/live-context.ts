import { mkdirSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { LongshoreError } from "../errors/longshore-error.ts";
import type { JobDocument } from "../job/job-document.ts";
import type { Artifact, JobOutcome } from "../job/job-result.ts";
import type { Logger } from "../telemetry/logger.ts";
import type {
  ArtifactOptions,
  ArtifactSource,
  HandlerContext,
  ProgressReport,
} from "./handler-context.ts";
import { artifactWriter, type ArtifactWriter } from "./artifact-writer.ts";
import { defaultMaxResultBytes, toBoundedJson } from "./json-limit.ts";
import type { HandlerRun } from "./handler-run.ts";

/**
 * The context of one attempt. It goes dead when the attempt ends: a handler that was given up on cannot write into a
 * later attempt of its job. Its functions are its own properties, so that a handler may take them out of it.
 */
export class LiveContext implements HandlerContext {
  readonly jobId: string;
  readonly operation: string;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly workerId: string;
  readonly document: JobDocument;
  readonly signal: AbortSignal;
  readonly logger: Logger;
  readonly checkpoint: unknown;
  readonly #run: HandlerRun;
  #workDir: string | undefined;
  #artifacts: ArtifactWriter | undefined;
  readonly #writes = new Map<symbol, Promise<Artifact>>();
  #ended: AbortController | undefined;
  #outcome: JobOutcome = {};
  #hasEnded = false;

  constructor(run: HandlerRun) {
    const { document } = run;
    this.jobId = document.jobId;
    this.operation = document.operation;
    this.attempt = run.attempt;
    this.maxAttempts = document.execution.maxAttempts;
    this.workerId = run.workerId;
    this.document = document;
    this.signal = run.signal;
    this.logger = run.logger;
    this.checkpoint = run.checkpoint;
    this.#run = run;
  }

  /** Made when it is first asked for: most handlers never do, and a directory costs more than their whole job. */
  get workDir(): string {
    if (this.#workDir === undefined) {
      this.#assertLive();
      const name = `${this.jobId}-${this.attempt}-${randomBytes(6).toString("hex")}`;
      const path = join(this.#run.workRoot, name);
      // A job that runs as another user passes through the root to its own directory; it sees no other names in it.
      mkdirSync(this.#run.workRoot, { recursive: true, mode: 0o711 });
      mkdirSync(path, { mode: 0o700 });
      this.#workDir = path;
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

  readonly progress = (report: ProgressReport): void => {
    if (this.#isOver) return;
    this.#run.onHeartbeat?.();
    this.#run.events.progress(report);
  };

  readonly log = (message: string, details?: Readonly<Record<string, unknown>>): void => {
    if (this.#isOver) return;
    this.#run.onHeartbeat?.();
    this.#run.events.log(message, details);
  };

  readonly heartbeat = (): void => {
    if (!this.#isOver) this.#run.onHeartbeat?.();
  };

  readonly report = (outcome: JobOutcome): void => {
    if (this.#isOver) return;
    // What cannot be written would make the whole job's end unwritable. Output is text already, and bounded elsewhere.
    const { stdout: _stdout, stderr: _stderr, ...rest } = outcome;
    toBoundedJson(rest, { what: "What the handler reported", maxBytes: this.#maxResultBytes });
    this.#outcome = { ...this.#outcome, ...outcome };
  };

  readonly artifact = (
    path: string,
    source: ArtifactSource,
    options: ArtifactOptions = {},
  ): Promise<Artifact> => {
    if (this.#isOver) return Promise.reject(this.#overError());
    const key = Symbol(path);
    const write = this.#writeArtifact(path, source, options).finally(() => {
      this.#writes.delete(key);
    });
    this.#writes.set(key, write);
    return write;
  };

  readonly saveCheckpoint = async (value: unknown): Promise<void> => {
    this.#assertLive();
    const text = toBoundedJson(value, { what: "The checkpoint", maxBytes: this.#maxResultBytes });
    // A copy: what the handler changes later is not what it saved.
    await this.#run.saveCheckpoint(JSON.parse(text));
  };

  /**
   * Nothing that the handler does from now on counts. Resolves when the artifacts it did not wait for are off the disk.
   */
  async end(): Promise<void> {
    this.#hasEnded = true;
    if (this.#writes.size === 0) return;
    this.#ended?.abort(this.#overError());
    const paths = [...this.#writes.keys()].map((key) => key.description);
    this.logger.warn(
      { paths },
      "handler ended before its artifacts were stored; they are left out",
    );
    await Promise.allSettled(this.#writes.values());
  }

  async #writeArtifact(
    path: string,
    source: ArtifactSource,
    options: ArtifactOptions,
  ): Promise<Artifact> {
    this.#ended ??= new AbortController();
    this.#artifacts ??= artifactWriter(this.#run.artifactsRoot, this.jobId, {
      ...this.#run.limits,
      workerId: this.workerId,
      assertOpen: () => {
        this.#assertLive();
      },
    });
    // Not bound to the job's signal: a handler that was told to end may still store what it has.
    const { signal } = this.#ended;
    const artifact = await this.#artifacts.write(path, source, { ...options, signal });
    if (!this.#isOver) this.#run.events.artifact(artifact);
    return artifact;
  }

  get #isOver(): boolean {
    return this.#hasEnded || this.#run.isGivenUp?.() === true;
  }

  get #maxResultBytes(): number {
    return this.#run.limits?.maxResultBytes ?? defaultMaxResultBytes;
  }

  #assertLive(): void {
    if (this.#isOver) throw this.#overError();
  }

  #overError(): LongshoreError {
    return new LongshoreError(
      "STATE_CONFLICT",
      `Attempt ${this.attempt} of job ${this.jobId} is over.`,
    );
  }
}
