import {
  nanosecondsFromMs,
  type Abortable,
  type RunPodSandboxRequest,
  type SandboxDriver,
} from "@longshore/core";
import { announceSandbox } from "../engine/announce.ts";
import { checkSandboxConfig } from "../engine/check-sandbox-config.ts";
import { driverLoopback, wantsDriverLoopback } from "../engine/driver-loopback.ts";
import type { Engine } from "../engine/engine.ts";
import type { SandboxEntry } from "../engine/entries.ts";
import { createId } from "../engine/registry.ts";
import { wrapped } from "../engine/requirements.ts";
import { sandboxDemand } from "../engine/sandbox-demand.ts";
import { driverSandboxSpec, sandboxEntry, sandboxKey } from "../engine/sandbox-entry.ts";
import { anySignal, untilUndone } from "../engine/turn-queue.ts";
import { undoList } from "../engine/undo-list.ts";
import { withoutSecrets, type SandboxRecord } from "../records/sandbox-record.ts";
import { watchSandbox } from "./stop-sandbox.ts";

export async function runPodSandbox(
  engine: Engine,
  { config: given, runtimeHandler = "" }: RunPodSandboxRequest,
  { signal }: Abortable = {},
): Promise<string> {
  signal?.throwIfAborted();
  engine.closing.throwIfAborted();
  const config = checkSandboxConfig(given);
  const driver = await engine.drivers.require(runtimeHandler, signal);
  const { name } = config.metadata;
  const reservation = engine.reservations.reserve(sandboxKey(config), `The sandbox "${name}"`);
  const subject = config.annotations?.[engine.subjectAnnotation];
  const record: SandboxRecord = {
    id: createId(),
    config: withoutSecrets(config),
    runtimeHandler,
    driver: driver.name,
    createdAt: nanosecondsFromMs(Date.now()),
    stage: "creating",
    isTornDown: false,
    ...(wantsDriverLoopback(driver, config) && { hasDriverLoopback: true }),
    ...(subject !== undefined && subject !== "" && { subject }),
  };
  const entry = sandboxEntry(engine, record, { config, reservation });
  const work = make(engine, entry, { driver, signal: anySignal(signal, engine.closing) });
  return untilUndone(work, signal);
}

interface Making {
  readonly driver: SandboxDriver;
  readonly signal: AbortSignal;
}

async function make(
  engine: Engine,
  entry: SandboxEntry,
  { driver, signal }: Making,
): Promise<string> {
  const { id, config, reservation } = entry;
  const { admission, records, network, registry } = engine;
  const { hasDriverLoopback = false } = entry.record;
  const undo = undoList(engine.logger);
  const options = { signal };
  undo.add("name", () => reservation[Symbol.dispose]());
  try {
    reservation.stage = "admission";
    const demand = sandboxDemand(entry.record);
    await admission.admit({ id, subject: entry.record.subject, demand }, options);
    undo.add("admission", () => admission.release(id));

    reservation.stage = "record";
    undo.add("record", () => records.removeSandbox(id));
    await records.addSandbox(entry.record);

    reservation.stage = "network";
    signal.throwIfAborted();
    if (!hasDriverLoopback) undo.add("network", () => network.tearDown(id));
    const setup = hasDriverLoopback
      ? driverLoopback
      : await network.setUp({ sandboxId: id, config }, options);

    reservation.stage = "sandbox";
    signal.throwIfAborted();
    const spec = driverSandboxSpec(engine, { ...entry.record, network: setup }, config);
    const sandbox = await driver.prepare(spec, options);
    undo.add("sandbox", () => sandbox.teardown());
    signal.throwIfAborted();

    reservation.stage = "record";
    const ready: SandboxRecord = { ...entry.record, network: setup, stage: "ready" };
    await records.writeSandbox(ready);
    signal.throwIfAborted();
    Object.assign(entry, { record: ready, sandbox, isReady: true } satisfies Partial<SandboxEntry>);
    reservation.id = id;
    registry.sandboxes.set(id, entry);
    announceSandbox(engine, "created", entry);
    announceSandbox(engine, "started", entry);
    watchSandbox(engine, entry, sandbox);
    return id;
  } catch (error) {
    reservation.stage = `giving back after a failure at: ${reservation.stage}`;
    await undo.run();
    throw signal.aborted ? signal.reason : wrapped(error, "SANDBOX_CREATE_FAILED");
  }
}
