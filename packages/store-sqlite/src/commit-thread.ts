import { Worker } from "node:worker_threads";
import { LongshoreError } from "@longshore/core";
import type {
  Answer,
  Operation,
  OperationKind,
  Outcome,
  OutcomeOf,
  ThreadData,
} from "./operation.ts";

/** The calling side of the thread that owns the database. */
export interface CommitThread {
  /**
   * Sends an operation and resolves with what `conclude` makes of its outcome, once the transaction it was part of is
   * committed. `describe` is called at once: the operation is what it was at the time of the call.
   */
  send<K extends OperationKind, T>(
    describe: () => Operation & readonly [K, ...unknown[]],
    conclude: (outcome: OutcomeOf[K]) => T,
  ): Promise<T>;
  /** Waits for what was sent, closes the database and ends the thread; everything after it is refused. */
  close(): Promise<void>;
}

/** Takes the outcome of one call. */
type Waiter = (outcome: Outcome) => void;

/** Operations in one message: bounds how long a transaction keeps other processes out. */
const maxBatch = 2_000;

export function startCommitThread(data: ThreadData): CommitThread {
  const worker = startThread(data);
  let operations: Operation[] = [];
  /** One for each of `operations` */
  let waiters: Waiter[] = [];
  /** Those whose operations the thread has, in the order in which it answers */
  let sent: Waiter[] = [];
  let isScheduled = false;
  let refusal: LongshoreError | undefined;
  let failure: unknown;
  const ended = new Promise<void>((resolve) => {
    worker.once("exit", () => {
      const error = threadEnded(failure);
      refusal ??= error;
      const refused = [...sent, ...waiters];
      sent = [];
      waiters = [];
      operations = [];
      for (const settle of refused) settle(error);
      resolve();
    });
  });
  worker.on("message", onAnswer);
  worker.on("error", (error) => {
    failure = error;
  });
  // An idle store does not keep its process alive; a call that is not answered does.
  worker.unref();

  function schedule(): void {
    if (isScheduled) return;
    isScheduled = true;
    // Everything that is called in this turn of the event loop goes in one message.
    setImmediate(flush);
  }

  function flush(): void {
    isScheduled = false;
    const batch = operations;
    const callers = waiters;
    operations = [];
    waiters = [];
    for (let start = 0; start < batch.length; start += maxBatch) {
      const part = batch.length <= maxBatch ? batch : batch.slice(start, start + maxBatch);
      const partCallers = callers.slice(start, start + maxBatch);
      try {
        post(worker, part);
        if (sent.length === 0) worker.ref();
        sent.push(...partCallers);
      } catch (error) {
        // A value that is no plain data; a caller without types can bring one here.
        for (const settle of partCallers) settle(toError(error));
      }
    }
  }

  function onAnswer({ count, outcomes }: Answer): void {
    const answered = sent;
    sent = answered.splice(count);
    if (sent.length === 0 && refusal === undefined) worker.unref();
    answered.forEach((settle, index) => {
      settle(outcomes.get(index));
    });
  }

  return {
    send: (describe, conclude) =>
      new Promise((resolve, reject) => {
        if (refusal !== undefined) throw refusal;
        operations.push(describe());
        waiters.push((outcome) => {
          try {
            if (outcome instanceof Error) throw toIoError(outcome);
            resolve(conclude(outcome as never));
          } catch (error) {
            reject(error);
          }
        });
        schedule();
      }),
    close() {
      if (refusal === undefined) {
        refusal = new LongshoreError("IO_ERROR", "The sqlite job store is closed.");
        flush();
        worker.ref();
        post(worker, null);
      }
      return ended;
    },
  };
}

function post(worker: Worker, message: readonly Operation[] | null): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin; that is for windows
  worker.postMessage(message);
}

function startThread(data: ThreadData): Worker {
  // The sources run as they are; in the built package, and in a bundle, the thread is a file beside this one.
  const module = import.meta.url.endsWith(".ts")
    ? new URL("./store-thread.ts", import.meta.url)
    : new URL("./store-thread.js", import.meta.url);
  return new Worker(module, {
    name: "longshore-store",
    workerData: data,
    // The host's flags, hooks and secrets are for the host's code.
    execArgv: ["--no-warnings"],
    env: {},
  });
}

function threadEnded(failure: unknown): LongshoreError {
  if (failure === undefined) {
    return new LongshoreError("IO_ERROR", "The thread of the job store has ended.");
  }
  const { message } = toError(failure);
  return new LongshoreError("IO_ERROR", `The thread of the job store has failed: ${message}`, {
    cause: failure,
  });
}

function toIoError(error: Error): LongshoreError {
  if (error instanceof LongshoreError) return error;
  return new LongshoreError("IO_ERROR", `The job store could not be written: ${error.message}`, {
    cause: error,
  });
}

function toError(value: unknown): Error {
  return value instanceof Error ? value : new Error(String(value));
}
