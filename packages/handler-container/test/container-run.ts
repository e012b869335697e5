import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  admissionRules,
  allowAllPolicy,
  createJobDocument,
  isLongshoreError,
  jobEventEmitter,
  runHandler,
  silentLogger,
  type AdmissionOverrides,
  type ImageClient,
  type JobDocument,
  type JobEvent,
  type JobInput,
  type JobOutcome,
  type JobRuntime,
  type LongshoreError,
  type RuntimeClient,
} from "@longshore/core";
import { tempRuntime } from "../../core/test/runtime/temp-runtime.ts";
import { containerHandler, type ContainerHandlerOptions } from "../src/index.ts";

export interface ContainerRunOptions {
  readonly runtime?: Partial<JobRuntime>;
  readonly data?: unknown;
  /** The rest of the document */
  readonly job?: Partial<JobInput>;
  /** Instead of all of the above */
  readonly document?: JobDocument;
  readonly handler?: Partial<ContainerHandlerOptions>;
  readonly rules?: AdmissionOverrides;
  readonly signal?: AbortSignal;
  readonly attempt?: number;
  readonly onEvent?: (event: JobEvent) => void;
}

export interface FinishedRun {
  readonly outcome: JobOutcome;
  readonly error: LongshoreError | undefined;
  readonly events: readonly JobEvent[];
  readArtifact(path: string): Promise<string>;
}

/** A runtime, and a store, with the image that jobs use. */
export interface JobRuntimes extends AsyncDisposable {
  readonly runtime: RuntimeClient;
  readonly images: ImageClient;
  readonly directory: string;
}

/** A runtime with one image, `base`, that jobs may use, and a place where they run. */
export class ContainerRunner implements AsyncDisposable {
  readonly root: string;
  readonly temp: JobRuntimes;

  private constructor(root: string, temp: JobRuntimes) {
    this.root = root;
    this.temp = temp;
  }

  /** @param runtimes where jobs run. @default host processes, which isolates nothing */
  static async open(runtimes?: JobRuntimes): Promise<ContainerRunner> {
    const root = await mkdtemp(join(tmpdir(), "longshore-container-"));
    return new ContainerRunner(root, runtimes ?? (await tempRuntime()));
  }

  handler(
    options: Partial<ContainerHandlerOptions> = {},
    rules: AdmissionOverrides = {},
  ): ReturnType<typeof containerHandler> {
    return containerHandler({
      runtime: this.temp.runtime,
      images: this.temp.images,
      policy: allowAllPolicy(),
      killGraceMs: 1_000,
      rules: admissionRules({
        allowedModes: ["image", "sandbox", "build"],
        allowedImages: ["base"],
        ...rules,
      }),
      ...options,
    });
  }

  /** Runs one job with the real handler, as a worker would. */
  async run(options: ContainerRunOptions): Promise<FinishedRun> {
    const { signal = new AbortController().signal, onEvent, attempt = 1 } = options;
    const document =
      options.document ??
      createJobDocument({
        operation: "container.run",
        data: options.data,
        runtime: { mode: "image", image: "base", ...options.runtime },
        ...options.job,
      });
    const events: JobEvent[] = [];
    const artifactsRoot = join(this.root, "artifacts");
    const { outcome, error } = await runHandler({
      handler: this.handler(options.handler, options.rules),
      document,
      attempt,
      workerId: "worker-1",
      signal,
      logger: silentLogger,
      workRoot: join(this.root, "work"),
      artifactsRoot,
      checkpoint: undefined,
      events: jobEventEmitter({
        jobId: document.jobId,
        workerId: "worker-1",
        firstSequence: 0,
        attempt,
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
      readArtifact: (path) => readFile(join(artifactsRoot, document.jobId, path), "utf8"),
    };
  }

  /** The outcome of a job that must succeed. */
  async succeed(options: ContainerRunOptions): Promise<JobOutcome> {
    const { outcome, error } = await this.run(options);
    if (error === undefined && outcome.exitCode === 0) return outcome;
    throw new Error(`the job failed: ${outcome.stderr ?? ""}`, { cause: error });
  }

  /** The error of a job that must fail. */
  async fail(options: ContainerRunOptions): Promise<LongshoreError> {
    const { error } = await this.run(options);
    if (error === undefined) throw new Error("the job succeeded");
    return error;
  }

  /** Sandboxes, and work directories, that are still there */
  async leftovers(): Promise<readonly string[]> {
    const pods = await this.temp.runtime.listPodSandbox();
    const dirs = await readdir(join(this.root, "work")).catch(() => []);
    return [...pods.map(({ id }) => id), ...dirs];
  }

  /** Fails a test that leaves anything. */
  async assertNothingLeft(): Promise<void> {
    const left = await this.leftovers();
    if (left.length > 0) throw new Error(`left behind: ${left.join(", ")}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.temp[Symbol.asyncDispose]();
    await rm(this.root, { recursive: true, force: true });
  }
}

/** Runtime of a job that is one shell script. */
export function script(content: string, rest: Partial<JobRuntime> = {}): Partial<JobRuntime> {
  return { cmd: ["sh", "-c", content], ...rest };
}
