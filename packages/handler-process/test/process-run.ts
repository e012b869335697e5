import { chmod, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createJobDocument,
  isLongshoreError,
  jobEventEmitter,
  type LongshoreError,
  runHandler,
  silentLogger,
  type Artifact,
  type HandlerLimits,
  type JobDocument,
  type JobEvent,
  type JobInput,
  type JobOutcome,
  type JobRuntime,
} from "@longshore/core";
import { processHandler, type ProcessHandlerOptions } from "../src/index.ts";

export interface ProcessRunOptions {
  readonly runtime?: Partial<JobRuntime>;
  readonly data?: unknown;
  /** The rest of the document */
  readonly job?: Partial<JobInput>;
  /** Instead of all of the above */
  readonly document?: JobDocument;
  readonly handler?: ProcessHandlerOptions;
  /** The worker's, for whatever a handler hands over */
  readonly limits?: HandlerLimits;
  readonly signal?: AbortSignal;
  /** Sees the job's events as they happen */
  readonly onEvent?: (event: JobEvent) => void;
}

export interface FinishedRun {
  readonly outcome: JobOutcome;
  readonly error: LongshoreError | undefined;
  readonly events: readonly JobEvent[];
  readonly workDirs: readonly string[];
  readArtifact(path: string): Promise<string>;
}

/** A place where jobs run, removed afterwards. */
export class ProcessRunner implements AsyncDisposable {
  readonly root: string;

  private constructor(root: string) {
    this.root = root;
  }

  static async open(): Promise<ProcessRunner> {
    const root = await mkdtemp(join(tmpdir(), "longshore-process-"));
    // Other users pass through it to their work directories.
    await chmod(root, 0o711);
    return new ProcessRunner(root);
  }

  /** Runs one job with the real handler, as a worker would. */
  async run(options: ProcessRunOptions): Promise<FinishedRun> {
    const { runtime, data, job, signal = new AbortController().signal, onEvent } = options;
    const document =
      options.document ??
      createJobDocument({
        operation: "process.run",
        data,
        runtime: { mode: "process", ...runtime },
        ...job,
      });
    const events: JobEvent[] = [];
    const workRoot = join(this.root, "work");
    const artifactsRoot = join(this.root, "artifacts");
    const { outcome, error } = await runHandler({
      handler: processHandler(options.handler),
      document,
      attempt: document.execution.attempt,
      workerId: "worker-1",
      signal,
      logger: silentLogger,
      workRoot,
      artifactsRoot,
      checkpoint: undefined,
      limits: options.limits,
      events: jobEventEmitter({
        jobId: document.jobId,
        workerId: "worker-1",
        firstSequence: 0,
        attempt: 1,
        emit: (event) => {
          events.push(event);
          onEvent?.(event);
        },
      }),
      saveCheckpoint: () => Promise.resolve(),
    });
    if (error !== undefined && !isLongshoreError(error)) {
      throw new Error("the handler threw no LongshoreError", { cause: error });
    }
    return {
      outcome,
      error,
      events,
      workDirs: await readdir(workRoot).catch(() => []),
      readArtifact: (path) => readFile(join(artifactsRoot, document.jobId, path), "utf8"),
    };
  }

  /** The outcome of a job that must succeed. */
  async succeed(options: ProcessRunOptions): Promise<JobOutcome> {
    const { outcome, error } = await this.run(options);
    if (error === undefined && outcome.exitCode === 0) return outcome;
    throw new Error(`the job failed: ${outcome.stderr ?? ""}`, { cause: error });
  }

  /** The error of a job that must fail. */
  async fail(options: ProcessRunOptions): Promise<LongshoreError> {
    const { error } = await this.run(options);
    if (error === undefined) throw new Error("the job succeeded");
    return error;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }
}

/** Runtime of a job that is one shell script. */
export function script(content: string, rest: Partial<JobRuntime> = {}): Partial<JobRuntime> {
  const { files, ...others } = rest;
  return {
    runtime: "shell",
    cmd: ["job.sh"],
    files: { "job.sh": { content }, ...files },
    ...others,
  };
}

/** Processes that run, zombies left out, whose command line holds a word. */
export async function runningProcesses(word: string): Promise<readonly number[]> {
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    try {
      const commandLine = await readFile(`/proc/${name}/cmdline`, "latin1");
      const stat = await readFile(`/proc/${name}/stat`, "latin1");
      const state = stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3);
      if (commandLine.split("\0").includes(word) && state !== "Z") found.push(Number(name));
    } catch {
      // It has ended.
    }
  }
  return found;
}

/** Artifacts of an outcome by path. */
export function artifactPaths(outcome: JobOutcome): readonly string[] {
  return (outcome.outputs?.artifacts ?? []).map(({ path }: Artifact) => path);
}
