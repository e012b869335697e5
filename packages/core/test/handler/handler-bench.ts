import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createJobDocument,
  jobEventEmitter,
  runHandler,
  silentLogger,
  type Handler,
  type HandlerContext,
  type HandlerRun,
  type HandlerRunOutcome,
  type JobEvent,
  type Logger,
} from "../../src/index.ts";

export interface HandlerBench extends AsyncDisposable {
  readonly workRoot: string;
  readonly artifactsRoot: string;
  readonly events: readonly JobEvent[];
  readonly errors: readonly { readonly fields: object; readonly message: string }[];
  /** Runs a handler on a payload, as one attempt of a job. */
  run(
    handler: Partial<Handler>,
    payload?: unknown,
    more?: Partial<HandlerRun>,
  ): Promise<HandlerRunOutcome>;
  /** Runs a function as a handler's `execute`. */
  execute(
    body: (context: HandlerContext) => unknown,
    more?: Partial<HandlerRun>,
  ): Promise<HandlerRunOutcome>;
}

/** A place to run handlers in, without a worker around them. */
export async function handlerBench(): Promise<HandlerBench> {
  const root = await mkdtemp(join(tmpdir(), "longshore-handlers-"));
  const events: JobEvent[] = [];
  const errors: { fields: object; message: string }[] = [];
  const logger: Logger = {
    ...silentLogger,
    error: (...entry: readonly unknown[]) => {
      errors.push({ fields: Object(entry[0]), message: String(entry[1]) });
    },
    child: () => logger,
  };
  const bench: HandlerBench = {
    workRoot: join(root, "work"),
    artifactsRoot: join(root, "artifacts"),
    events,
    errors,
    async run(handler, payload = {}, more = {}) {
      const document = createJobDocument({ jobId: "job-1", operation: "test.run", data: payload });
      using emitter = jobEventEmitter({
        jobId: document.jobId,
        workerId: "w1",
        firstSequence: 0,
        attempt: 1,
        emit: (event) => events.push(event),
      });
      return await runHandler({
        handler: { name: "bench", operations: ["test.run"], execute: () => undefined, ...handler },
        document,
        attempt: 1,
        workerId: "w1",
        signal: new AbortController().signal,
        logger,
        workRoot: bench.workRoot,
        artifactsRoot: bench.artifactsRoot,
        checkpoint: undefined,
        events: emitter,
        saveCheckpoint: () => Promise.resolve(),
        ...more,
      });
    },
    execute: (body, more) => bench.run({ execute: body }, {}, more),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
  return bench;
}
