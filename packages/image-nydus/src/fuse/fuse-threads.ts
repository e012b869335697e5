import type { Worker } from "node:worker_threads";
import { LongshoreError } from "@longshore/core/errors";
import type { BlobReader } from "../mount/blob-reader.ts";
import { startThread } from "../thread/start-thread.ts";
import type { FilesystemSource } from "./filesystem-source.ts";
import type { FuseThreadData, FuseThreadMessage } from "./fuse-thread.ts";
import { remoteReads } from "./remote-reads.ts";

export interface FuseThreadsOptions {
  readonly device: number;
  readonly filesystem: FilesystemSource;
  readonly blobs: string | BlobReader;
  /** Open files of local blobs */
  readonly heldBlobs: ReadonlyMap<string, number>;
  readonly threads: number;
  readonly concurrency: number | undefined;
  readonly onReadError: (failure: { readonly nid: number; readonly error: unknown }) => void;
}

/** The threads of one mount. */
export interface FuseThreads {
  /** The first one has opened the metadata */
  readonly loaded: Promise<void>;
  /** Kernel and server have agreed */
  readonly ready: Promise<void>;
  /** Rejects when one broke; the others go on, but the mount must come down */
  readonly broken: Promise<never>;
  /** All have ended; rejects when one broke */
  readonly ended: Promise<void>;
  /** Lets them wait for requests; from then on only unmounting ends them. Call it once. */
  serve(): void;
  /** Ends those that do not serve yet. Call it when nothing is mounted. */
  dismiss(): void;
}

export function startFuseThreads(options: FuseThreadsOptions): FuseThreads {
  const { device, blobs, onReadError } = options;
  const report = (error: unknown, nid: number): void => {
    try {
      onReadError({ nid, error });
    } catch {
      // The listener's own fault, which must not harm the mount.
    }
  };
  const remote =
    typeof blobs === "string"
      ? undefined
      : remoteReads({ device, blobs, concurrency: options.concurrency, onError: report });
  const data: FuseThreadData = {
    device,
    filesystem: options.filesystem,
    blobDirectory: typeof blobs === "string" ? blobs : undefined,
    heldBlobs: options.heldBlobs,
    agreement: new Int32Array(new SharedArrayBuffer(8)),
  };
  const loaded = Promise.withResolvers<void>();
  const ready = Promise.withResolvers<void>();

  const onMessage = (message: FuseThreadMessage): void => {
    switch (message.kind) {
      case "loaded":
        loaded.resolve();
        break;
      case "ready":
        ready.resolve();
        break;
      case "read":
        remote?.answer(message);
        break;
      case "interrupt":
        remote?.interrupt(message.unique);
        break;
      case "error":
        report(toError(message.error), message.nid);
        break;
      default:
        message satisfies never;
    }
  };

  const broken = Promise.withResolvers<never>();
  const workers: Worker[] = [];
  const loading = new Set<Worker>();
  let isDismissed = false;
  const ends: Promise<void>[] = [];
  const start = (): void => {
    const worker = startWorker(data);
    workers.push(worker);
    loading.add(worker);
    worker.on("message", (message: FuseThreadMessage) => {
      loading.delete(worker);
      onMessage(message);
    });
    worker.once("error", broken.reject);
    ends.push(
      new Promise((resolve) => {
        worker.once("exit", (exitCode) => {
          if (exitCode !== 0 && !isDismissed) {
            broken.reject(
              new LongshoreError("INTERNAL_ERROR", "A thread of a FUSE mount ended by itself.", {
                details: { exitCode },
              }),
            );
          }
          resolve();
        });
      }),
    );
  };
  start();
  const end = async (): Promise<void> => {
    // More may come while the first runs.
    for (const gone of ends) await gone;
    remote?.close();
    // An error of a thread comes before its exit, so it wins.
    await Promise.race([broken.promise, Promise.resolve()]);
  };
  const ended = end();
  const giveUp = (error: unknown): void => {
    loaded.reject(error);
    ready.reject(error);
  };
  broken.promise.catch(giveUp);
  ended.then(() => {
    giveUp(new LongshoreError("IO_ERROR", "It was unmounted before it was ready."));
  }, giveUp);
  for (const promise of [loaded.promise, ready.promise]) promise.catch(() => undefined);

  const post = (message: "serve" | "dismiss"): void => {
    for (const worker of workers) {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      worker.postMessage(message);
    }
  };
  return {
    loaded: loaded.promise,
    ready: ready.promise,
    broken: broken.promise,
    ended,
    serve: () => {
      // The rest starts now: the mount works as soon as one thread does.
      for (let count = 1; count < options.threads; count += 1) start();
      post("serve");
    },
    dismiss: () => {
      isDismissed = true;
      post("dismiss");
      // It would open all the metadata only to end then.
      for (const worker of loading) void worker.terminate();
    },
  };
}

function startWorker(workerData: FuseThreadData): Worker {
  return startThread(import.meta.url, "./fuse-thread", { name: "fuse", workerData });
}

/** Errors arrive as plain objects: their class and code do not survive the way between threads. */
function toError(value: unknown): unknown {
  if (typeof value !== "object" || value === null || !("message" in value)) return value;
  const code = "code" in value && typeof value.code === "string" ? value.code : "IO_ERROR";
  const cause = "cause" in value ? value.cause : undefined;
  return new LongshoreError(code, String(value.message), cause === undefined ? {} : { cause });
}
