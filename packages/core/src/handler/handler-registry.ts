import type { Abortable } from "../abortable.ts";
import { LongshoreError } from "../errors/longshore-error.ts";
import { inTime } from "../worker/in-time.ts";
import { assertHandler } from "./define-handler.ts";
import type { Handler } from "./handler.ts";

export interface RegisterOptions {
  /** Take operations over from a handler that has them. @default false */
  readonly override?: boolean | undefined;
}

/** Knows which handler runs which operation. */
export interface HandlerRegistry {
  /**
   * A handler that loses its last operation to another is not set up any more.
   *
   * @throws {LongshoreError} `DUPLICATE_HANDLER`: nothing of the handler is registered then
   * @throws {TypeError} for what is no handler
   */
  register<Payload, Result>(handler: Handler<Payload, Result>, options?: RegisterOptions): void;
  /** The handler of the operation itself, else of the longest pattern that covers it. */
  resolve(operation: string): Handler | undefined;
  /** Operations and patterns, sorted. */
  operations(): readonly string[];
  /**
   * Sets every handler up, in order of registration. When one fails, those before it are torn down again.
   *
   * @throws {LongshoreError} `INTERNAL_ERROR` naming the handler
   */
  setup(options?: Abortable & TeardownOptions): Promise<void>;
  /**
   * Tears every handler down that was set up, in reverse order, each one even when another fails.
   *
   * @throws {AggregateError} with what was thrown, when all are done
   */
  teardown(options?: TeardownOptions): Promise<void>;
}

export const defaultTeardownTimeoutMs = 10_000;

interface TeardownOptions {
  /** Time each handler gets to be torn down; one that hangs is named in what is thrown, and left. @default 10_000 */
  readonly teardownTimeoutMs?: number | undefined;
}

export function handlerRegistry(): HandlerRegistry {
  const byOperation = new Map<string, Handler>();
  let handlers: readonly Handler[] = [];
  const ready: Handler[] = [];

  async function teardown({
    teardownTimeoutMs = defaultTeardownTimeoutMs,
  }: TeardownOptions = {}): Promise<void> {
    const failures: unknown[] = [];
    for (let handler = ready.pop(); handler !== undefined; handler = ready.pop()) {
      try {
        const what = `The teardown of the handler "${handler.name}"`;
        await inTime(handler.teardown?.(), teardownTimeoutMs, what);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) {
      throw new AggregateError(failures, `${failures.length} handlers could not be torn down`);
    }
  }

  return {
    register(handler, { override = false } = {}) {
      // The registry hands every handler what its schema made of the payload.
      const erased = handler as unknown as Handler;
      assertHandler(erased);
      for (const operation of handler.operations) {
        const owner = byOperation.get(operation);
        if (owner !== undefined && !override) {
          throw new LongshoreError(
            "DUPLICATE_HANDLER",
            `"${operation}" belongs to the handler "${owner.name}"; "${handler.name}" cannot have it too without override.`,
            { details: { operation, registered: owner.name, refused: handler.name } },
          );
        }
      }
      for (const operation of handler.operations) byOperation.set(operation, erased);
      const inUse = new Set(byOperation.values());
      handlers = [...handlers.filter((known) => known !== erased && inUse.has(known)), erased];
    },
    resolve(operation) {
      const exact = byOperation.get(operation);
      if (exact !== undefined) return exact;
      for (
        let end = operation.lastIndexOf(".");
        end > 0;
        end = operation.lastIndexOf(".", end - 1)
      ) {
        const handler = byOperation.get(`${operation.slice(0, end)}.*`);
        if (handler !== undefined) return handler;
      }
      return undefined;
    },
    operations: () => [...byOperation.keys()].toSorted(),
    async setup({ signal, teardownTimeoutMs } = {}) {
      for (const handler of handlers) {
        try {
          signal?.throwIfAborted();
          await handler.setup?.({ signal });
          ready.push(handler);
        } catch (error) {
          const [undone] = await Promise.allSettled([teardown({ teardownTimeoutMs })]);
          if (signal?.aborted === true) throw signal.reason;
          const reason = error instanceof Error ? error.message : String(error);
          throw new LongshoreError(
            "INTERNAL_ERROR",
            `The handler "${handler.name}" could not be set up: ${reason}`,
            {
              // Why it failed comes first; that the undoing failed too must not hide it.
              cause:
                undone.status === "fulfilled" ? error : new AggregateError([error, undone.reason]),
            },
          );
        }
      }
    },
    teardown,
  };
}
