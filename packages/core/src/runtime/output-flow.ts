/**
 * One output of a process on its way to whoever reads it. It has one reader, and the process waits for that one; what
 * the reader leaves, and what nobody has taken when `collect` is called, is read to the end and only looked at.
 */
export interface OutputFlow extends AsyncIterable<Uint8Array> {
  /** Resolves once the output was read to its end; rejects with what went wrong. Nobody needs to look. */
  readonly ended: Promise<void>;
  /** Reads the output to its end, unless somebody has taken it. */
  collect(): void;
}

/** That a process was killed for a reason which its readers must learn. */
export interface CutOff {
  readonly reason: unknown;
}

export interface OutputFlowOptions {
  /** For messages, e.g. `"stdout"` */
  readonly name: string;
  /** Sees every chunk before its reader, which waits for it, and the end as `undefined` */
  readonly look: (chunk: Uint8Array | undefined) => void | Promise<void>;
  /** Why the output was cut off, once it was: its reader must not take that for the end */
  readonly failure: () => CutOff | undefined;
  /** Whether the process was given up by who reads it: then a stream that breaks has ended */
  readonly isGivenUp: () => boolean;
}

/** @param source the output, once the process has started */
export function outputFlow(
  source: Promise<AsyncIterable<Uint8Array>>,
  { name, look, failure, isGivenUp }: OutputFlowOptions,
): OutputFlow {
  const ended = Promise.withResolvers<void>();
  for (const promise of [ended.promise, source]) promise.catch(() => undefined);
  let isTaken = false;
  let iterator: AsyncIterator<Uint8Array> | undefined;
  let turn: Promise<unknown> = Promise.resolve();

  const step = async (): Promise<IteratorResult<Uint8Array>> => {
    iterator ??= (await source)[Symbol.asyncIterator]();
    try {
      return await iterator.next();
    } catch (error) {
      if (failure() === undefined && !isGivenUp()) throw error;
      return { done: true, value: undefined };
    }
  };
  const advance = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
    try {
      const next = await step();
      const cut = failure();
      if (cut !== undefined) throw cut.reason;
      await look(next.done === true ? undefined : next.value);
      if (next.done !== true) return { done: false, value: next.value };
      ended.resolve();
      return { done: true, value: undefined };
    } catch (error) {
      ended.reject(error);
      throw error;
    }
  };
  /** One at a time: a reader may leave while a chunk is on its way. */
  const next = (): ReturnType<typeof advance> => {
    const result = turn.then(advance);
    turn = result.catch(() => undefined);
    return result;
  };
  const drain = async (): Promise<void> => {
    while ((await next()).done !== true);
  };
  const collect = (): void => {
    isTaken = true;
    drain().catch(() => undefined); // said by `ended`
  };

  return {
    ended: ended.promise,
    collect() {
      if (!isTaken) collect();
    },
    [Symbol.asyncIterator]() {
      if (isTaken) {
        throw new TypeError(
          `${name} is being read already: begin to iterate before the process is awaited, and only once`,
        );
      }
      isTaken = true;
      return {
        next,
        async return() {
          collect();
          return { done: true, value: undefined };
        },
      };
    },
  };
}
