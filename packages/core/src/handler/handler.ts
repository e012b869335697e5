import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Abortable } from "../abortable.ts";
import type { HandlerContext } from "./handler-context.ts";

/**
 * Runs the operations it names. Make one with `defineHandler`.
 *
 * `setup` runs once before the first job, `teardown` once after the last. For each attempt the payload is validated,
 * then `execute` runs, then `cleanup`, always. Attempts of different jobs overlap.
 */
export interface Handler<Payload = unknown, Result = unknown> {
  readonly name: string;
  /** Operation names (`"disk.inspect"`) or patterns (`"disk.*"`: everything below) */
  readonly operations: readonly string[];
  /** Checks and transforms `payload.data`; without it the data arrives as it is */
  readonly payload?: StandardSchemaV1<unknown, Payload> | undefined;
  /** Checks what `execute` returns, and transforms it into the result's `data` */
  readonly result?: StandardSchemaV1<Result, unknown> | undefined;
  /** Gets what all jobs share. One that throws has cleaned up after itself: its `teardown` is not called */
  setup?(options: Abortable): Promise<void> | void;
  teardown?(): Promise<void> | void;
  /** Returns the result's `data`. A thrown `LongshoreError` decides the error code. */
  execute(context: HandlerContext, payload: Payload): Promise<Result> | Result;
  cleanup?(context: HandlerContext): Promise<void> | void;
}
