import { setTimeout as delay } from "node:timers/promises";
import {
  isLongshoreError,
  type Abortable,
  type EventBus,
  type Logger,
  type RuntimeClient,
} from "@longshore/core";
import type { NydusImageStore } from "@longshore/image-nydus";
import { connectRuntime, serveRuntime } from "@longshore/runtime";
import { openImageStore, type ImageFlags } from "../image/image-store.ts";
import { composeRuntime } from "./compose-runtime.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import { runtimeSocket } from "./reach-runtime.ts";
import { replaceableRuntime } from "./replaceable-runtime.ts";

export interface HoldOptions extends Abortable {
  readonly logger: Logger;
  /** Told what happens to sandboxes as long as this process has the engine, and to images */
  readonly events: EventBus;
  /** OCI runtimes that work here, best first */
  readonly working: readonly string[];
}

/** Between two looks at a process that has the engine and does not serve it yet, or not any more. */
const lookMs = 100;
const patienceMs = 30_000;
/** Jobs of one image often come one after the other. */
const idleMountMs = 60_000;

/**
 * Has the containers of a home directory for as long as a worker runs: by an engine of its own, which it serves to the
 * commands of this user. Where another process has the engine already, it is used from there, and taken over when that
 * process has ended.
 *
 * @throws {LongshoreError} `STATE_CONFLICT` when another process has the engine and does not serve it
 */
export async function holdRuntime(flags: ImageFlags, options: HoldOptions): Promise<HomeRuntime> {
  const images = await openImageStore(flags, { ...options, idleMountMs });
  try {
    const runtime = await replaceableRuntime(() => acquire(flags, { ...options, images }));
    return {
      runtime,
      images,
      async [Symbol.asyncDispose]() {
        await runtime[Symbol.asyncDispose]();
        await images[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await images[Symbol.asyncDispose]();
    throw error;
  }
}

type AcquireOptions = HoldOptions & { readonly images: NydusImageStore };

async function acquire(flags: ImageFlags, options: AcquireOptions): Promise<RuntimeClient> {
  const { logger, signal } = options;
  const path = runtimeSocket(flags.home);
  const giveUpAtMs = performance.now() + patienceMs;
  for (;;) {
    signal?.throwIfAborted();
    let conflict: unknown;
    try {
      return await openOwn(flags, options);
    } catch (error) {
      if (!isLongshoreError(error, "STATE_CONFLICT")) throw error;
      conflict = error;
    }
    try {
      const runtime = await connectRuntime({ path, signal });
      logger.info({ socket: path }, "another process keeps the containers; using them there");
      return runtime;
    } catch (error) {
      if (!isLongshoreError(error, "RUNTIME_UNAVAILABLE")) throw error;
      if (performance.now() > giveUpAtMs) throw conflict;
    }
    // Neither the lock of an engine nor the socket of a process that is about to serve tells when it changes.
    await delay(lookMs, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
}

async function openOwn(flags: ImageFlags, options: AcquireOptions): Promise<RuntimeClient> {
  const composed = await composeRuntime(flags, options);
  try {
    const { runtime } = composed;
    const server = await serveRuntime(runtime, { path: runtimeSocket(flags.home) });
    return {
      ...runtime,
      async [Symbol.asyncDispose]() {
        await server[Symbol.asyncDispose]();
        await composed[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await composed[Symbol.asyncDispose]();
    throw error;
  }
}
