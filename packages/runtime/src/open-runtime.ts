import { mkdir, realpath } from "node:fs/promises";
import {
  LongshoreError,
  silentLogger,
  type Abortable,
  type EventBus,
  type Logger,
  type RootfsCommitter,
  type SandboxDriver,
} from "@longshore/core";
import { admission, type AdmissionOptions } from "./admission/admission.ts";
import { machineCapacity } from "./admission/machine-capacity.ts";
import { trackedCalls, type Runtime } from "./calls/runtime-calls.ts";
import { stopSandboxEntry } from "./calls/stop-sandbox.ts";
import { driverSet } from "./engine/driver-set.ts";
import type { Engine, RuntimeImages } from "./engine/engine.ts";
import { recover } from "./engine/recover.ts";
import { registry } from "./engine/registry.ts";
import { reservations } from "./engine/reservations.ts";
import { anySignal } from "./engine/turn-queue.ts";
import { containerEvents } from "./events/container-events.ts";
import type { SandboxNetwork } from "./network/sandbox-network.ts";
import { lockEngine } from "./records/engine-lock.ts";
import { recordStore } from "./records/record-store.ts";

export interface RuntimeOptions extends Abortable {
  /** Where sandboxes are written down; made when missing. One engine at a time, and nothing else, may use it */
  readonly directory: string;
  /** At least one; the caller disposes them after the engine */
  readonly drivers: readonly SandboxDriver[];
  /** Name of the driver for sandboxes that ask for none */
  readonly defaultHandler: string;
  /** Where containers get their files; the caller disposes it after the engine */
  readonly images: RuntimeImages;
  /** The caller disposes it after the engine */
  readonly network: SandboxNetwork;
  /** Makes images of what containers wrote. @default `commitContainer` is refused */
  readonly committer?: RootfsCommitter | undefined;
  /** Gets `worker.{id}.{created|started|stopped|deleted}`. @default none */
  readonly events?: EventBus | undefined;
  /** How much may run at a time. @default no limit */
  readonly admission?: AdmissionOptions | undefined;
  /** Annotation of a sandbox that says for whom it is. @default "worker.dev/subject" */
  readonly subjectAnnotation?: string | undefined;
  /**
   * Size at which a container's log begins a new file, and how many files it has all together, as kubelet's
   * `containerLogMaxFiles` counts them. @default no limit: whoever reads them rotates them
   */
  readonly log?: { readonly maxBytes?: number; readonly maxFiles?: number } | undefined;
  /**
   * Milliseconds in which each driver has to find its sandboxes again; those of one that takes longer are out of reach
   * until the runtime is opened anew. @default 60_000
   */
  readonly recoverTimeoutMs?: number | undefined;
  /** What `runtimeConfig` answers. @default "cgroupfs" */
  readonly cgroupDriver?: "systemd" | "cgroupfs" | undefined;
  /** @default silence */
  readonly logger?: Logger | undefined;
}

/**
 * Opens the engine: takes the directory's lock, and finds again whatever an earlier engine left there.
 *
 * Disposing ends what waits, and leaves sandboxes as they are for the next engine, except those of drivers without
 * `"survivesRestart"`, which are stopped.
 *
 * @throws {LongshoreError} `STATE_CONFLICT` while another engine uses the directory; `CONFIG_ERROR` for records of a newer
 *   version
 */
export async function openRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { drivers, defaultHandler, images, network, events, committer, signal } = options;
  const { logger = silentLogger, subjectAnnotation = "worker.dev/subject", log = {} } = options;
  const { recoverTimeoutMs = 60_000 } = options;
  if (
    !Number.isInteger(recoverTimeoutMs) ||
    recoverTimeoutMs < 1 ||
    recoverTimeoutMs > 2 ** 31 - 1
  ) {
    throw new RangeError(
      `recoverTimeoutMs must be a whole number from 1 to 2147483647, got ${recoverTimeoutMs}`,
    );
  }
  for (const [name, value] of Object.entries(log)) {
    if (Number.isSafeInteger(value) && value >= 1) continue;
    throw new RangeError(`log.${name} must be a whole number from 1 on, got ${value}`);
  }
  signal?.throwIfAborted();
  const set = driverSet(drivers, defaultHandler);
  const capacity = options.admission === undefined ? undefined : await machineCapacity();
  const room = admission(options.admission, capacity);
  await mkdir(options.directory, { recursive: true, mode: 0o711 });
  const directory = await realpath(options.directory);
  const lock = await lockEngine(directory);
  const closing = new AbortController();
  let isClosed = false;
  const engine: Engine = {
    registry: registry(),
    reservations: reservations(),
    records: recordStore(directory, logger),
    drivers: set,
    images,
    network,
    admission: room,
    events: containerEvents(),
    bus: events,
    logger,
    subjectAnnotation,
    logLimits: log,
    recoverTimeoutMs,
    committer,
    closing: closing.signal,
    isClosed: () => isClosed,
  };
  try {
    await set.refresh();
    await recover(engine, await engine.records.load(), anySignal(signal, closing.signal));
    signal?.throwIfAborted();
  } catch (error) {
    closing.abort(error);
    isClosed = true;
    await lock[Symbol.asyncDispose]();
    throw error;
  }

  const calls = trackedCalls(engine, options.cgroupDriver ?? "cgroupfs");
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    closing.abort(new LongshoreError("RUNTIME_UNAVAILABLE", "The runtime is being closed."));
    const { sandboxes } = engine.registry;
    const mortal = [...sandboxes.values()].filter(
      ({ driver, isReady }) => isReady && driver?.capabilities.has("survivesRestart") !== true,
    );
    const stops = await Promise.allSettled(mortal.map((one) => stopSandboxEntry(engine, one)));
    for (const stop of stops) {
      if (stop.status === "rejected")
        logger.error({ error: stop.reason }, "a sandbox did not stop");
    }
    await calls.idle();
    engine.events.end();
    isClosed = true;
    await lock[Symbol.asyncDispose]();
  };
  return {
    ...calls.calls,
    async [Symbol.asyncDispose]() {
      closed ??= close();
      await closed;
    },
  };
}
