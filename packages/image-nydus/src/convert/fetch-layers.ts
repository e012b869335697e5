import type { FileHandle } from "node:fs/promises";
import PQueue from "p-queue";
import type { ImageSource } from "../registry/image-source.ts";
import type { Descriptor } from "../registry/manifest.ts";

/** A file that is deleted when it is disposed. */
export interface ScratchFile extends AsyncDisposable {
  readonly file: FileHandle;
}

export interface FetchLayersOptions {
  readonly signal: AbortSignal;
  /** Layers that are fetched at the same time. @default 3 */
  readonly parallel?: number | undefined;
  /** Where layers wait that arrive before their turn */
  createScratch(): Promise<ScratchFile>;
  /** @param receivedBytes so far, of the layer of that number */
  onReceived?(layer: number, receivedBytes: number): void;
}

const pieceSize = 1_048_576;

/**
 * The layers of an image in order, each as its stored bytes, checked. A layer whose turn has come streams through; those
 * behind it are fetched to disk meanwhile. Read each before the next is asked for.
 */
export async function* fetchLayers(
  source: ImageSource,
  layers: readonly Descriptor[],
  options: FetchLayersOptions,
): AsyncGenerator<AsyncIterable<Buffer>, void, undefined> {
  const { parallel = 3, onReceived } = options;
  const controller = new AbortController();
  const signal = AbortSignal.any([options.signal, controller.signal]);
  const queue = new PQueue({ concurrency: Math.max(1, parallel - 1) });
  const scratches = new Set<ScratchFile>();

  async function* stream(descriptor: Descriptor, number: number): AsyncGenerator<Buffer> {
    let receivedBytes = 0;
    for await (const bytes of source.openBlob(descriptor, { signal })) {
      receivedBytes += bytes.length;
      onReceived?.(number, receivedBytes);
      yield bytes;
    }
  }

  async function fetchToDisk(descriptor: Descriptor, number: number): Promise<ScratchFile> {
    signal.throwIfAborted();
    const scratch = await options.createScratch();
    scratches.add(scratch);
    let position = 0;
    for await (const bytes of stream(descriptor, number)) {
      await writeAll(scratch.file, bytes, position);
      position += bytes.length;
    }
    return scratch;
  }

  const waiting = layers.map((descriptor, number) => {
    const isFirst = number === 0 || parallel === 1;
    return isFirst ? undefined : aheadOfTime(queue, () => fetchToDisk(descriptor, number));
  });
  try {
    for (const [number, descriptor] of layers.entries()) {
      const scratch = await waiting[number]?.take();
      yield scratch === undefined ? stream(descriptor, number) : pieces(scratch.file);
      if (scratch === undefined) continue;
      // Its room is needed for those behind it.
      scratches.delete(scratch);
      await scratch[Symbol.asyncDispose]();
    }
  } finally {
    controller.abort();
    await queue.onIdle();
    for (const scratch of scratches) await scratch[Symbol.asyncDispose]();
  }
}

interface AheadOfTime<T> {
  /** What the task makes; `undefined` when it has not begun, and then it never will. */
  take(): Promise<T> | undefined;
}

function aheadOfTime<T>(queue: PQueue, task: () => Promise<T>): AheadOfTime<T> {
  let started: Promise<T> | undefined;
  let isTaken = false;
  void queue.add(async () => {
    if (isTaken) return;
    started = task();
    // Whoever takes it is told.
    await started.catch(() => undefined);
  });
  return {
    take() {
      isTaken = true;
      return started;
    },
  };
}

async function* pieces(file: FileHandle): AsyncGenerator<Buffer> {
  for (let position = 0; ;) {
    const buffer = Buffer.allocUnsafe(pieceSize);
    const { bytesRead } = await file.read(buffer, 0, pieceSize, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    const { bytesWritten } = await file.write(
      bytes,
      written,
      bytes.length - written,
      position + written,
    );
    written += bytesWritten;
  }
}
