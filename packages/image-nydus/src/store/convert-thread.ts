import { parentPort, workerData, type MessagePort } from "node:worker_threads";
import { LongshoreError } from "@longshore/core/errors";
import type { TreeLimits } from "../tree/file-tree.ts";
import { openImageDatabase } from "./image-database.ts";
import { asIoError } from "./io-error.ts";
import { storeLayers, type StoredFiles, type StoredLayer } from "./store-layers.ts";
import { openStoreLayout } from "./store-layout.ts";
import { packError, type ThreadError } from "./thread-error.ts";

/** What the thread is started with. */
export interface ConvertThreadData {
  /** Of the store */
  readonly directory: string;
  readonly limits: Partial<TreeLimits> | undefined;
}

/** What the thread is told: layers one after the other, each with its bytes. */
export type ConvertOrder =
  | { readonly kind: "layer"; readonly diffId: string; readonly mediaType: string }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: "layer-end" | "end" | "abort" };

/** What the thread tells. The last of it is `stored` or `failed`. */
export type ConvertReport =
  /** Bytes were used up: there may be more */
  | { readonly kind: "used"; readonly size: number }
  | { readonly kind: "layer"; readonly layer: number }
  | { readonly kind: "stored"; readonly files: StoredFiles }
  | { readonly kind: "failed"; readonly error: ThreadError };

if (parentPort !== null) await runThread(workerData as ConvertThreadData, parentPort);

async function runThread(
  { directory, limits }: ConvertThreadData,
  port: MessagePort,
): Promise<void> {
  const tell = (report: ConvertReport): void => {
    port.postMessage(report);
  };
  const controller = new AbortController();
  const { signal } = controller;
  try {
    const orders = receiveOrders(port, controller);
    const layout = await openStoreLayout(directory);
    using database = openImageDatabase(layout.databasePath);
    const files = await storeLayers({ database, layout }, receiveLayers(orders, tell), {
      signal,
      limits,
      onLayer: (layer) => {
        tell({ kind: "layer", layer });
      },
    });
    tell({ kind: "stored", files });
  } catch (error) {
    tell({ kind: "failed", error: packError(asIoError(error, "convert the image")) });
  } finally {
    port.close();
  }
}

type NextOrder = () => Promise<ConvertOrder>;

function receiveOrders(port: MessagePort, controller: AbortController): NextOrder {
  const orders: ConvertOrder[] = [];
  let wake: (() => void) | undefined;
  port.on("message", (order: ConvertOrder) => {
    if (order.kind === "abort") {
      controller.abort(new LongshoreError("CANCELLED", "The conversion was given up."));
    } else orders.push(order);
    wake?.();
  });
  return async () => {
    for (;;) {
      controller.signal.throwIfAborted();
      const order = orders.shift();
      if (order !== undefined) return order;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
}

async function* receiveLayers(
  next: NextOrder,
  tell: (report: ConvertReport) => void,
): AsyncGenerator<StoredLayer> {
  for (let order = await next(); order.kind === "layer"; order = await next()) {
    const { diffId, mediaType } = order;
    yield { diffId, mediaType, content: receiveBytes(next, tell) };
  }
}

async function* receiveBytes(
  next: NextOrder,
  tell: (report: ConvertReport) => void,
): AsyncGenerator<Uint8Array> {
  for (let order = await next(); order.kind === "bytes"; order = await next()) {
    yield order.bytes;
    tell({ kind: "used", size: order.bytes.length });
  }
}
