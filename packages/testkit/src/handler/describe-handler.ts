import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createJobDocument,
  jobEventEmitter,
  LongshoreError,
  runHandler,
  silentLogger,
  type Handler,
  type HandlerRunOutcome,
  type JobEvent,
  type JobInput,
} from "@longshore/core";
import { expect } from "vitest";
import { suite, type SkippedCases } from "../suite-cases.ts";

export interface HandlerSuiteOptions {
  readonly handler: Handler;
  /** An operation of the handler. @default its first one that is no pattern */
  readonly operation?: string | undefined;
  /** A payload that the handler completes */
  readonly validPayload: unknown;
  /** A payload that it must refuse; leave out for a handler that takes anything */
  readonly invalidPayload?: unknown;
  /** The rest of a document, e.g. `runtime`, for handlers that read it */
  readonly document?: Partial<Omit<JobInput, "operation" | "data">> | undefined;
  /** A payload whose run takes long enough to be aborted; leave out for a handler that is done at once */
  readonly longPayload?: unknown;
  /** Time the handler may take to end after an abort. @default 5_000 */
  readonly abortMs?: number | undefined;
  readonly skip?: SkippedCases | undefined;
}

interface Attempt {
  readonly outcome: HandlerRunOutcome;
  readonly events: readonly JobEvent[];
  readonly workDirs: readonly string[];
}

/** What a worker expects of a handler, as tests. For authors of handlers: call it in a test file. */
export function describeHandlerConformance(name: string, options: HandlerSuiteOptions): void {
  const {
    handler,
    validPayload,
    invalidPayload,
    longPayload,
    abortMs = 5_000,
    skip = {},
  } = options;
  const operation = options.operation ?? handler.operations.find((known) => !known.endsWith("*"));
  if (operation === undefined) throw new TypeError("name an operation that the patterns cover");

  suite(`Handler: ${name}`, skip, (test) => {
    const withHandler =
      (
        run: (
          attempt: (payload: unknown, signal?: AbortSignal) => Promise<Attempt>,
        ) => Promise<void>,
      ) =>
      async () => {
        const root = await mkdtemp(join(tmpdir(), "longshore-handler-"));
        await handler.setup?.({});
        try {
          await run((payload, signal) => runOnce(root, payload, signal));
        } finally {
          await handler.teardown?.();
          await rm(root, { recursive: true, force: true });
        }
      };

    test(
      "completes a valid payload with a result that is JSON",
      withHandler(async (attempt) => {
        const { outcome } = await attempt(validPayload);
        expect(outcome.error).toBeUndefined();
        const { data } = outcome.outcome;
        if (data !== undefined) expect(JSON.parse(JSON.stringify(data))).toEqual(data);
      }),
    );

    test(
      "can run more than once at a time",
      withHandler(async (attempt) => {
        const attempts = await Promise.all([attempt(validPayload), attempt(validPayload)]);
        for (const { outcome } of attempts) expect(outcome.error).toBeUndefined();
      }),
    );

    test(
      "reports progress that does not go back, and numbers that have no gaps",
      withHandler(async (attempt) => {
        const { events } = await attempt(validPayload);
        expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => index));
        const percents = events.flatMap(({ progressPercent = [] }) => progressPercent);
        expect(percents).toEqual(percents.toSorted((a, b) => a - b));
      }),
    );

    test(
      "leaves nothing in its work directory's place",
      withHandler(async (attempt) => {
        const { workDirs } = await attempt(validPayload);
        expect(workDirs).toEqual([]);
      }),
    );

    if (invalidPayload !== undefined) {
      test(
        "refuses a payload that does not fit, and does not ask for another try",
        withHandler(async (attempt) => {
          const { outcome } = await attempt(invalidPayload);
          expect(outcome.error).toBeInstanceOf(LongshoreError);
          expect(outcome.error).toMatchObject({ code: "VALIDATION_ERROR", retryable: false });
        }),
      );
    }

    test(
      "does nothing when it is aborted before it starts",
      withHandler(async (attempt) => {
        const reason = new LongshoreError("CANCELLED", "never mind");
        const { outcome } = await attempt(validPayload, AbortSignal.abort(reason));
        expect(outcome.error).toBe(reason);
      }),
    );

    if (longPayload !== undefined) {
      test(
        "ends soon when it is aborted",
        withHandler(async (attempt) => {
          const controller = new AbortController();
          const running = attempt(longPayload, controller.signal);
          const reason = new LongshoreError("CANCELLED", "never mind");
          await Promise.race([running, new Promise((resolve) => setTimeout(resolve, 300))]);
          const abortedAtMs = Date.now();
          controller.abort(reason);
          const { outcome, workDirs } = await running;
          expect(Date.now() - abortedAtMs).toBeLessThan(abortMs);
          expect(outcome.error).toBeDefined();
          expect(workDirs).toEqual([]);
        }),
      );
    }
  });

  async function runOnce(
    root: string,
    payload: unknown,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<Attempt> {
    const document = createJobDocument({
      ...options.document,
      operation: operation ?? "",
      data: payload,
    });
    const events: JobEvent[] = [];
    const workRoot = join(root, "work", document.jobId);
    using emitter = jobEventEmitter({
      jobId: document.jobId,
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
      logger: silentLogger,
      workRoot,
      artifactsRoot: join(root, "artifacts"),
      checkpoint: undefined,
      events: emitter,
      saveCheckpoint: () => Promise.resolve(),
    });
    emitter[Symbol.dispose]();
    const workDirs = existsSync(workRoot) ? await readdir(workRoot) : [];
    return { outcome, events, workDirs };
  }
}
