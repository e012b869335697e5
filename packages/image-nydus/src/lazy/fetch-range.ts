import type { Abortable } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";

/** Bytes of a blob file. */
export interface StoredRange {
  readonly offset: number;
  readonly length: number;
}

export interface FetchRangeOptions {
  readonly signal: AbortSignal;
  /** Wrong answers for these bytes so far; with more than one place to ask, ask another one */
  readonly wrongAnswers: number;
}

/**
 * Fetches bytes of a blob as it is stored, for example from a registry. What it gives is not trusted: it may be wrong, too
 * short or too long.
 */
export type FetchRange = (
  range: StoredRange,
  options: FetchRangeOptions,
) => AsyncIterable<Uint8Array> | Promise<Uint8Array>;

export interface RangeBytesOptions extends FetchRangeOptions {
  readonly fetchRange: FetchRange;
  /** Milliseconds without a byte that end the fetch; a promise of all bytes has as long for each MiB */
  readonly stallTimeoutMs: number;
}

const mebibyte = 1_048_576;

/**
 * The bytes of a range as they come, exactly as many as were asked for.
 *
 * @throws {LongshoreError} `IO_ERROR` when they stall or end too early; what the fetch throws
 */
export async function* rangeBytes(
  range: StoredRange,
  options: RangeBytesOptions,
): AsyncGenerator<Buffer, void, undefined> {
  const { fetchRange, stallTimeoutMs, wrongAnswers } = options;
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const patient = async <T>(step: () => PromiseLike<T>, allowedMs: number): Promise<T> => {
    const timer = setTimeout(() => {
      stop.abort(stalled(range, allowedMs));
    }, allowedMs);
    try {
      return await abortable(step, { signal });
    } finally {
      clearTimeout(timer);
    }
  };

  signal.throwIfAborted();
  const answer = fetchRange(range, { signal, wrongAnswers });
  let missing = range.length;
  try {
    if (!(Symbol.asyncIterator in answer)) {
      const allowedMs = stallTimeoutMs * Math.max(1, Math.ceil(range.length / mebibyte));
      const bytes = await patient(() => answer, allowedMs);
      missing -= Math.min(missing, bytes.length);
      yield asBuffer(bytes).subarray(0, range.length);
    } else {
      const iterator = answer[Symbol.asyncIterator]();
      try {
        while (missing > 0) {
          const next = await patient(() => iterator.next(), stallTimeoutMs);
          if (next.done === true) break;
          const bytes = asBuffer(next.value).subarray(0, missing);
          missing -= bytes.length;
          yield bytes;
        }
      } finally {
        stop.abort();
        // Not waited for: a source that hangs must not hang its reader.
        void Promise.resolve(iterator.return?.()).catch(() => undefined);
      }
    }
  } finally {
    stop.abort();
  }
  if (missing > 0) {
    throw new LongshoreError("IO_ERROR", `An answer lacks ${missing} of ${range.length} bytes.`, {
      details: { ...range, missing },
    });
  }
}

/** Waits for a step, or rejects with the signal's reason; the step itself may go on unheard. */
export async function abortable<T>(
  step: () => PromiseLike<T>,
  { signal }: Abortable = {},
): Promise<T> {
  if (signal === undefined) return step();
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => {
    reject(signal.reason as Error);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([step(), aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function stalled(range: StoredRange, allowedMs: number): LongshoreError {
  return new LongshoreError("IO_ERROR", `No bytes came for ${allowedMs} ms.`, {
    details: { ...range, allowedMs },
  });
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
