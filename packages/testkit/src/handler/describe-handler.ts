import { LongshoreError, type Handler, type JobInput } from "@longshore/core";
import { expect } from "vitest";
import { suite, type SkippedCases } from "../suite-cases.ts";
import { handlerBench, type HandlerAttempt } from "./handler-attempt.ts";

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
  /** Time the long payload runs until it is aborted, in milliseconds. @default 300 */
  readonly abortAfterMs?: number | undefined;
  /** Time the handler may take to end after an abort, in milliseconds. @default 5_000 */
  readonly abortMs?: number | undefined;
  readonly skip?: SkippedCases | undefined;
}

type RunAttempt = (
  payload: unknown,
  options?: { readonly signal?: AbortSignal; readonly handler?: Handler },
) => Promise<HandlerAttempt>;

const reason = new LongshoreError("CANCELLED", "The job was cancelled by the test.");

/**
 * What a worker expects of a handler, as tests. For authors of handlers: call it in a test file. Each case sets the
 * handler up, runs attempts the way a worker does, and tears it down.
 *
 * @throws {TypeError} when the handler has patterns only and no `operation` is given
 */
export function describeHandlerConformance(name: string, options: HandlerSuiteOptions): void {
  const { handler, validPayload, invalidPayload, longPayload, skip = {} } = options;
  const { abortMs = 5_000, abortAfterMs = 300 } = options;
  const operation = options.operation ?? handler.operations.find((known) => !known.endsWith("*"));
  if (operation === undefined) throw new TypeError("name an operation that the patterns cover");

  suite(`Handler: ${name}`, skip, (test) => {
    const check = (title: string, run: (attempt: RunAttempt) => Promise<void>): void => {
      test(
        title,
        async () => {
          await using bench = await handlerBench();
          await handler.setup?.({});
          try {
            await run((payload, { signal, handler: variant = handler } = {}) =>
              // A copy: a handler that changes its payload must not spoil the next case.
              bench.attempt(
                variant,
                { ...options.document, operation, data: structuredClone(payload) },
                signal,
              ),
            );
          } finally {
            await handler.teardown?.();
          }
        },
        { timeoutMs: 20_000 + abortAfterMs + abortMs },
      );
    };

    check("completes a valid payload with a result that is JSON", async (attempt) => {
      const { outcome } = await attempt(validPayload);
      expect(outcome.error).toBeUndefined();
      const { data } = outcome.outcome;
      expect(data === undefined ? data : JSON.parse(JSON.stringify(data))).toEqual(data);
    });

    check("completes again after it was torn down and set up anew", async (attempt) => {
      await handler.teardown?.();
      await handler.setup?.({});
      const { outcome } = await attempt(validPayload);
      expect(outcome.error).toBeUndefined();
    });

    check("can run more than once at a time", async (attempt) => {
      const attempts = await Promise.all([attempt(validPayload), attempt(validPayload)]);
      for (const { outcome } of attempts) expect(outcome.error).toBeUndefined();
    });

    check("leaves the document it is given as it was", async (attempt) => {
      const { document } = await attempt(validPayload);
      expect(document.after).toEqual(document.before);
    });

    check(
      "reports progress that does not go back, and numbers that have no gaps",
      async (attempt) => {
        const { handler: watched, percents } = watchProgress(handler);
        const { events } = await attempt(validPayload, { handler: watched });
        expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => index));
        expect(percents).toEqual(percents.toSorted((a, b) => a - b));
        for (const percent of percents) {
          expect(percent).toBeGreaterThanOrEqual(0);
          expect(percent).toBeLessThanOrEqual(100);
        }
      },
    );

    check("stores its artifacts as it says", async (attempt) => {
      const { outcome, artifactsOnDisk } = await attempt(validPayload);
      expect(artifactsOnDisk).toEqual(outcome.outcome.outputs?.artifacts ?? []);
    });

    check("leaves nothing in its work directory's place", async (attempt) => {
      const { leftovers } = await attempt(validPayload);
      expect(leftovers).toEqual([]);
    });

    check("cleans up once after each attempt, without an error", async (attempt) => {
      const { handler: watched, calls } = watchCleanup(handler);
      const attempts = [await attempt(validPayload, { handler: watched })];
      // A cleanup that relies on what execute would have done fails here.
      const failing = { ...watched, execute: () => Promise.reject(new Error("broken")) };
      attempts.push(await attempt(validPayload, { handler: failing }));
      expect(attempts.flatMap(({ complaints }) => complaints)).toEqual([]);
      expect(calls()).toBe(2);
    });

    if (invalidPayload !== undefined) {
      check(
        "refuses a payload that does not fit, and does not ask for another try",
        async (attempt) => {
          const { outcome, leftovers, complaints } = await attempt(invalidPayload);
          expect(outcome.error).toMatchObject({ code: "VALIDATION_ERROR", retryable: false });
          expect({ leftovers, complaints }).toEqual({ leftovers: [], complaints: [] });
        },
      );
    }

    check("does nothing when it is aborted before it starts", async (attempt) => {
      const { outcome, events } = await attempt(validPayload, {
        signal: AbortSignal.abort(reason),
      });
      expect(outcome.error).toBe(reason);
      expect(events).toEqual([]);
    });

    if (longPayload === undefined) return;

    const checkAbort = async (attempt: RunAttempt, delayMs: number): Promise<void> => {
      const controller = new AbortController();
      const { signal } = controller;
      const running = attempt(longPayload, { signal, handler: onceStarted(handler, abort) });
      let abortedAtMs: number | undefined;
      const { promise: late, reject } = Promise.withResolvers<never>();
      let timer: NodeJS.Timeout | undefined;
      function abort(): void {
        timer = setTimeout(() => {
          abortedAtMs = Date.now();
          controller.abort(reason);
          timer = setTimeout(() => {
            reject(new Error(`the handler did not end within ${abortMs} ms of the abort`));
          }, abortMs);
        }, delayMs);
      }
      try {
        const { outcome, leftovers, complaints } = await Promise.race([running, late]);
        expect(abortedAtMs, "the long payload must take longer than that").toBeDefined();
        expect(outcome.error).toBeDefined();
        expect({ leftovers, complaints }).toEqual({ leftovers: [], complaints: [] });
      } finally {
        clearTimeout(timer);
      }
    };
    check("ends soon when it is aborted", (attempt) => checkAbort(attempt, abortAfterMs));
    check("ends soon when it is aborted right after its start", (attempt) =>
      checkAbort(attempt, 0),
    );
  });
}

/** The handler's functions, free of `this`. */
function bound(handler: Handler): Handler {
  return {
    name: handler.name,
    operations: handler.operations,
    payload: handler.payload,
    result: handler.result,
    execute: (context, payload) => handler.execute(context, payload),
    cleanup: (context) => handler.cleanup?.(context),
  };
}

function onceStarted(handler: Handler, onStart: () => void): Handler {
  return {
    ...bound(handler),
    execute(context, payload) {
      const value = handler.execute(context, payload);
      onStart();
      return value;
    },
  };
}

function watchCleanup(handler: Handler): { handler: Handler; calls: () => number } {
  let callCount = 0;
  const watched: Handler = {
    ...bound(handler),
    cleanup(context) {
      callCount += 1;
      return handler.cleanup?.(context);
    },
  };
  return { handler: watched, calls: () => callCount };
}

/** Notes the percents as the handler reports them: a worker hides those that go back. */
function watchProgress(handler: Handler): { handler: Handler; percents: number[] } {
  const percents: number[] = [];
  const watched: Handler = {
    ...bound(handler),
    execute(context, payload) {
      const view: PropertyDescriptorMap = {
        progress: {
          value: (report: Parameters<typeof context.progress>[0]) => {
            if (report.percent !== undefined) percents.push(report.percent);
            context.progress(report);
          },
        },
        // Made when it is asked for, by the context itself.
        workDir: { get: () => context.workDir },
      };
      return handler.execute(Object.create(context, view), payload);
    },
  };
  return { handler: watched, percents };
}
