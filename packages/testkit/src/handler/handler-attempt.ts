import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import {
  createJobDocument,
  jobEventEmitter,
  runHandler,
  silentLogger,
  type Artifact,
  type Handler,
  type HandlerRunOutcome,
  type JobDocument,
  type JobEvent,
  type JobInput,
  type Logger,
} from "@longshore/core";

/** One attempt of a handler, as the worker and the disk saw it. */
export interface HandlerAttempt {
  readonly outcome: HandlerRunOutcome;
  /** What the handler was given, as it was before and is after */
  readonly document: { readonly before: JobDocument; readonly after: JobDocument };
  readonly events: readonly JobEvent[];
  /** What was left of work directories */
  readonly leftovers: readonly string[];
  /** What the worker had to log as errors, such as a `cleanup` that failed */
  readonly complaints: readonly string[];
  /** The result's artifacts, each as the file on the disk really is */
  readonly artifactsOnDisk: readonly Artifact[];
}

/** Runs attempts in a directory of its own. */
export interface HandlerBench extends AsyncDisposable {
  attempt(handler: Handler, input: JobInput, signal?: AbortSignal): Promise<HandlerAttempt>;
}

export async function handlerBench(): Promise<HandlerBench> {
  const root = await mkdtemp(join(tmpdir(), "longshore-handler-"));
  return {
    async attempt(handler, input, signal = new AbortController().signal) {
      const document = createJobDocument(input);
      const { jobId } = document;
      const before = structuredClone(document);
      const events: JobEvent[] = [];
      const complaints: string[] = [];
      const workRoot = join(root, "work", jobId);
      const artifactsRoot = join(root, "artifacts");
      const emitter = jobEventEmitter({
        jobId,
        workerId: "testkit",
        firstSequence: 0,
        attempt: 1,
        emit: (event) => events.push(event),
      });
      const outcome = await runHandler({
        handler,
        document,
        attempt: 1,
        workerId: "testkit",
        signal,
        logger: errorLogger(complaints),
        workRoot,
        artifactsRoot,
        checkpoint: undefined,
        events: emitter,
        saveCheckpoint: () => Promise.resolve(),
      });
      emitter[Symbol.dispose]();
      const artifacts = outcome.outcome.outputs?.artifacts ?? [];
      const jobDir = join(artifactsRoot, jobId);
      return {
        outcome,
        document: { before, after: document },
        events,
        complaints,
        leftovers: existsSync(workRoot) ? await readdir(workRoot) : [],
        artifactsOnDisk: await Promise.all(artifacts.map((artifact) => reread(jobDir, artifact))),
      };
    },
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
}

async function reread(jobDir: string, artifact: Artifact): Promise<Artifact> {
  const content = await readFile(join(jobDir, artifact.path));
  const sha256 = createHash("sha256").update(content).digest("hex");
  return { ...artifact, size: content.byteLength, sha256 };
}

function errorLogger(complaints: string[]): Logger {
  const logger: Logger = {
    ...silentLogger,
    error: (...[fields, message = ""]: readonly unknown[]) => {
      complaints.push(
        typeof fields === "string" ? fields : `${String(message)}: ${inspect(fields)}`,
      );
    },
    child: () => logger,
  };
  return logger;
}
