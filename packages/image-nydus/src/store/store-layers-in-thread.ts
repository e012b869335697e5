import type { Worker } from "node:worker_threads";
import { hasCode, LongshoreError } from "@longshore/core/errors";
import { startThread } from "../thread/start-thread.ts";
import type { ConvertOrder, ConvertReport, ConvertThreadData } from "./convert-thread.ts";
import type { StoredFiles, StoredLayer, StoreLayersOptions } from "./store-layers.ts";
import { unpackError } from "./thread-error.ts";

/**
 * Short-lived objects would take 128 MB before V8 looks for what of them is left, as it does unasked when there are many
 * that stay.
 */
const maxYoungGenerationSizeMb = 16;
/** Nobody's image within the limits needs more; a hostile one ends its thread, and not the host. */
const maxOldGenerationSizeMb = 512;
/** Bytes that are on their way to the thread */
const maxBytesAhead = 2_097_152;

/**
 * {@link storeLayers} in a thread of its own: the host goes on with its work, and the memory for short-lived objects, of which
 * a conversion makes many, is bounded. The layers are asked for with a signal that ends their reading when the thread fails.
 *
 * @throws {LongshoreError} `LIMIT_EXCEEDED` when the thread runs out of memory; what storing throws
 */
export async function storeLayersInThread(
  directory: string,
  openLayers: (signal: AbortSignal) => AsyncIterable<StoredLayer>,
  options: StoreLayersOptions,
): Promise<StoredFiles> {
  const { signal, limits } = options;
  const data: ConvertThreadData = { directory, limits };
  const worker = startWorker(data);
  const exited = new Promise<void>((resolve) => {
    worker.once("exit", () => {
      resolve();
    });
  });
  const feeding = new AbortController();
  const feedSignal = AbortSignal.any([signal, feeding.signal]);
  const outcome = Promise.withResolvers<StoredFiles>();
  outcome.promise.catch(() => undefined);
  const room = roomAhead(feedSignal);
  worker.on("message", (report: ConvertReport) => {
    switch (report.kind) {
      case "used":
        room.giveBack(report.size);
        break;
      case "layer":
        options.onLayer?.(report.layer);
        break;
      case "stored":
        outcome.resolve(report.files);
        break;
      case "failed":
        fail(unpackError(report.error));
        break;
      default:
        report satisfies never;
    }
  });
  worker.once("error", (error) => {
    fail(isOutOfMemory(error) ? outOfMemory(error) : error);
  });
  worker.once("exit", (exitCode) => {
    const details = { exitCode };
    fail(new LongshoreError("INTERNAL_ERROR", "The thread of a conversion ended.", { details }));
  });

  function fail(error: unknown): void {
    outcome.reject(error);
    feeding.abort(error);
  }

  function post(order: ConvertOrder, transfer: readonly ArrayBuffer[] = []): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    worker.postMessage(order, transfer);
  }

  async function feed(): Promise<void> {
    for await (const { diffId, mediaType, content } of openLayers(feedSignal)) {
      post({ kind: "layer", diffId, mediaType });
      for await (const piece of content) {
        await room.take(piece.length);
        // Its own memory, for it goes over to the thread: what the piece is part of may be in use elsewhere.
        const bytes = new Uint8Array(piece);
        post({ kind: "bytes", bytes }, [bytes.buffer]);
      }
      post({ kind: "layer-end" });
    }
    post({ kind: "end" });
  }

  try {
    await feed();
    const aborted = Promise.withResolvers<never>();
    const onAbort = (): void => {
      aborted.reject(signal.reason);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      const files = await Promise.race([outcome.promise, aborted.promise]);
      await exited;
      return files;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  } catch (error) {
    // It deletes what it has begun.
    post({ kind: "abort" });
    await exited;
    throw error;
  }
}

interface RoomAhead {
  /** Waits until there is room. */
  take(size: number): Promise<void>;
  giveBack(size: number): void;
}

function roomAhead(signal: AbortSignal): RoomAhead {
  let ahead = 0;
  let wake: (() => void) | undefined;
  signal.addEventListener("abort", () => wake?.(), { once: true });
  return {
    async take(size) {
      for (;;) {
        signal.throwIfAborted();
        if (ahead === 0 || ahead + size <= maxBytesAhead) break;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      ahead += size;
    },
    giveBack(size) {
      ahead -= size;
      wake?.();
    },
  };
}

function startWorker(workerData: ConvertThreadData): Worker {
  return startThread(import.meta.url, "./convert-thread", {
    name: "image-conversion",
    workerData,
    resourceLimits: { maxYoungGenerationSizeMb, maxOldGenerationSizeMb },
  });
}

function isOutOfMemory(error: unknown): boolean {
  return hasCode(error, "ERR_WORKER_OUT_OF_MEMORY");
}

function outOfMemory(cause: unknown): LongshoreError {
  return new LongshoreError(
    "LIMIT_EXCEEDED",
    `The image needs more than ${maxOldGenerationSizeMb} MB of memory to convert.`,
    { cause, details: { maxOldGenerationSizeMb } },
  );
}
