import {
  nanosecondsFromMs,
  type DriverSandboxSpec,
  type RecoveredSandbox,
  type DriverRecoverProblem,
} from "@longshore/core";
import { stopSandboxEntry, watchSandbox } from "../calls/stop-sandbox.ts";
import { fileOwners } from "../calls/container-files.ts";
import { holdAgain } from "../calls/start-container.ts";
import { watchExit } from "../calls/watch-exit.ts";
import { demandOf } from "../admission/demand.ts";
import type { ContainerRecord } from "../records/container-record.ts";
import { removeTree } from "../records/remove-tree.ts";
import type { StoredSandbox, StoredState } from "../records/record-store.ts";
import type { SandboxNetworkSetup } from "../network/sandbox-network.ts";
import { announceProblem } from "./announce.ts";
import { driverLoopback } from "./driver-loopback.ts";
import type { Engine } from "./engine.ts";
import type { ContainerEntry, SandboxEntry } from "./entries.ts";
import { noteContainer, persistSandbox } from "./persist.ts";
import { sandboxDemand } from "./sandbox-demand.ts";
import {
  containerEntry,
  containerKey,
  driverSandboxSpec,
  sandboxEntry,
  sandboxKey,
} from "./sandbox-entry.ts";
import { abortable, anySignal } from "./turn-queue.ts";

/**
 * Takes over what an earlier engine left: what runs is found again, what was half made is undone, and what belongs to
 * nobody goes.
 */
export async function recover(
  engine: Engine,
  stored: StoredState,
  signal: AbortSignal,
): Promise<void> {
  const kept = stored.sandboxes.filter(({ record }) => record.stage !== "creating");
  const entries = kept.map((one) => enter(engine, one));
  const ready = entries.filter(({ record }) => record.stage === "ready");

  const networks = await recoverNetworks(engine, ready, signal);
  await Promise.all(
    engine.drivers.names.map((name) => askDriver(engine, { name, ready, networks, signal })),
  );
  for (const entry of ready) if (entry.driver === undefined) await lose(engine, entry);

  for (const { record, containers } of stored.sandboxes) {
    if (record.stage === "creating") await undo(engine, record.id, containers);
  }
  for (const { path, containerIds } of stored.abandoned) {
    await forget(engine, path, containerIds);
  }
  await Promise.all(entries.map((entry) => finish(engine, entry, signal)));
}

/** Puts a sandbox and its containers where calls find them, as they were when the other engine ended. */
function enter(engine: Engine, { record, containers }: StoredSandbox): SandboxEntry {
  const { registry, reservations, admission } = engine;
  const { config } = record;
  const reservation = reservations.reserve(
    sandboxKey(config),
    `The sandbox "${config.metadata.name}"`,
  );
  reservation.id = record.id;
  const entry = sandboxEntry(engine, record, { config, reservation });
  for (const one of containers) {
    const { name } = one.config.metadata;
    const own = reservations.reserve(
      containerKey(record.id, one.config),
      `The container "${name}"`,
    );
    own.id = one.id;
    const container = containerEntry(one, entry, own);
    entry.containers.set(one.id, container);
    entry.demands.set(one.id, demandOf(one.resources));
    registry.containers.set(one.id, container);
  }
  registry.sandboxes.set(record.id, entry);
  const demand = sandboxDemand(record, entry.demands.values());
  admission.recount({ id: record.id, subject: record.subject, demand });
  return entry;
}

/** Those that drivers made are found again by them. */
async function recoverNetworks(
  { network }: Engine,
  ready: readonly SandboxEntry[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, SandboxNetworkSetup>> {
  const isDrivers = ({ record }: SandboxEntry): boolean => record.hasDriverLoopback === true;
  const known = ready
    .filter((entry) => !isDrivers(entry))
    .map(({ id, config }) => ({ sandboxId: id, config }));
  const found = await network.recover(known, { signal });
  const made = ready.filter(isDrivers).map(({ id }) => [id, driverLoopback] as const);
  return new Map([...found, ...made]);
}

interface Asking {
  readonly name: string;
  readonly ready: readonly SandboxEntry[];
  readonly networks: ReadonlyMap<string, SandboxNetworkSetup>;
  readonly signal: AbortSignal;
}

/** A driver that cannot say what became of its sandboxes leaves them as they are, out of reach until it can. */
async function askDriver(engine: Engine, { name, ready, networks, signal }: Asking): Promise<void> {
  const driver = engine.drivers.get(name);
  const own = ready.filter(({ record }) => record.driver === name);
  const known: DriverSandboxSpec[] = [];
  for (const entry of own) {
    const network = networks.get(entry.id);
    if (network === undefined) continue;
    entry.record = { ...entry.record, network };
    known.push(driverSandboxSpec(engine, entry.record, entry.config));
  }
  let found: ReadonlyMap<string, RecoveredSandbox>;
  try {
    if (driver === undefined) return;
    // One that hangs must not keep the others from being served.
    const limit = anySignal(signal, AbortSignal.timeout(engine.recoverTimeoutMs));
    const onProblem = (problem: DriverRecoverProblem): void =>
      announceProblem(engine, { ...problem, runtimeHandler: name });
    found = await abortable(driver.recover(known, { signal: limit, onProblem }), limit);
  } catch (error) {
    signal.throwIfAborted();
    engine.logger.error(
      { runtimeHandler: name, error },
      "a driver could not find its sandboxes again",
    );
    for (const entry of own) await lose(engine, entry);
    return;
  }
  await Promise.all(own.map((entry) => adopt(engine, entry, found.get(entry.id))));
}

async function adopt(
  engine: Engine,
  entry: SandboxEntry,
  found: RecoveredSandbox | undefined,
): Promise<void> {
  if (found === undefined) {
    entry.leaving.abort();
    await persistSandbox(engine, entry, { stage: "notready" });
    return;
  }
  entry.sandbox = found.sandbox;
  entry.isReady = true;
  watchSandbox(engine, entry, found.sandbox);
  for (const [id, driver] of found.containers) {
    const container = entry.containers.get(id);
    if (container === undefined) {
      await driver.remove();
      continue;
    }
    container.driver = driver;
    // One that is only created was being started.
    if (container.record.state !== "exited") await resume(engine, container);
  }
  for (const container of entry.containers.values()) {
    if (container.driver === undefined) await settleUnknown(engine, container);
  }
}

/** It runs, or has ended while nobody looked. */
async function resume(engine: Engine, container: ContainerEntry): Promise<void> {
  const { driver, record } = container;
  if (driver === undefined) return;
  await noteContainer(engine, container, {
    state: "running",
    message: undefined,
    startedAt: record.startedAt > 0n ? record.startedAt : nanosecondsFromMs(Date.now()),
    ...(driver.user !== undefined && { user: driver.user }),
  });
  watchExit(engine, container, driver);
  // An end that is known already is told before anybody asks.
  const soon = new Promise((resolve) => setImmediate(resolve));
  const hasEnded = await Promise.race([
    driver.exit.then(
      () => true,
      () => true,
    ),
    soon,
  ]);
  if (hasEnded === true) await container.ended;
}

/** The driver knows nothing of it. */
async function settleUnknown(engine: Engine, container: ContainerEntry): Promise<void> {
  const { state } = container.record;
  if (state === "exited" || state === "created") return;
  await noteContainer(engine, container, {
    state: "exited",
    exitCode: 255,
    reason: "Error",
    message: "It ended while the runtime was down, and its exit code is not known.",
    finishedAt: nanosecondsFromMs(Date.now()),
  });
}

async function lose(engine: Engine, entry: SandboxEntry): Promise<void> {
  for (const container of entry.containers.values()) {
    if (container.record.state !== "running") continue;
    await noteContainer(engine, container, {
      state: "unknown",
      message: `The runtime handler "${entry.record.driver}" does not answer.`,
    });
  }
}

/** Puts away what is dead, and holds the files of what lives. */
async function finish(engine: Engine, entry: SandboxEntry, signal: AbortSignal): Promise<void> {
  const { id, record } = entry;
  try {
    if (record.stage !== "ready") entry.leaving.abort();
    if (record.stage === "notready") await stopSandboxEntry(engine, entry);
    for (const container of entry.containers.values()) {
      if (container.record.state === "exited" || !entry.isReady) continue;
      await holdAgain(engine, container, signal);
    }
  } catch (error) {
    signal.throwIfAborted();
    engine.logger.error({ podSandboxId: id, error }, "a sandbox was not wholly taken over");
  }
}

/** Driver and network have torn down what was made of it, for it was not among those they were told of. */
async function undo(
  engine: Engine,
  id: string,
  containers: readonly ContainerRecord[],
): Promise<void> {
  try {
    await engine.network.tearDown(id);
    for (const owner of containers.flatMap(fileOwners)) await engine.images.releaseRootfs(owner);
    await engine.records.removeSandbox(id);
  } catch (error) {
    engine.logger.error({ podSandboxId: id, error }, "a half-made sandbox could not be undone");
  }
}

async function forget(
  engine: Engine,
  path: string,
  containerIds: readonly string[],
): Promise<void> {
  try {
    const owners = containerIds.length === 0 ? [] : await engine.images.listOwners();
    for (const owner of owners) {
      const isTheirs = containerIds.some((id) => owner === id || owner.startsWith(`${id}-mount-`));
      if (isTheirs) await engine.images.releaseRootfs(owner);
    }
    await removeTree(path);
  } catch (error) {
    engine.logger.warn({ path, error }, "a directory that belongs to nobody could not be removed");
  }
}
