import {
  LongshoreError,
  type Abortable,
  type CommitContainerRequest,
  type ContainerRef,
  type DriverContainer,
  type LinuxContainerResources,
  type UpdateContainerResourcesRequest,
  type UpdatePodSandboxResourcesRequest,
} from "@longshore/core";
import { demandOf } from "../admission/demand.ts";
import type { Engine } from "../engine/engine.ts";
import type { ContainerEntry } from "../engine/entries.ts";
import { persistContainer, persistSandbox } from "../engine/persist.ts";
import {
  requireCapability,
  requireRunning,
  requireUp,
  unsupported,
} from "../engine/requirements.ts";
import { sandboxDemand } from "../engine/sandbox-demand.ts";
import { anySignal, within } from "../engine/turn-queue.ts";
import { driverContainerSpec } from "./container-spec.ts";
import { mergeResources } from "./merge-resources.ts";

/** From the end of a process until it is heard of, at the most. */
const endNoticeMs = 1_000;

const noop = (): void => {};

interface Change {
  readonly entry: ContainerEntry;
  readonly signal: AbortSignal;
}

/** Does something to a container when it is its turn. */
async function inTurn<T>(
  engine: Engine,
  { containerId, signal: given }: ContainerRef & Abortable,
  change: (change: Change) => Promise<T>,
): Promise<T> {
  given?.throwIfAborted();
  const entry = engine.registry.getContainer(containerId);
  const signal = anySignal(
    given,
    entry.leaving.signal,
    entry.sandbox.leaving.signal,
    engine.closing,
  );
  return entry.turn.run(async () => {
    signal.throwIfAborted();
    return change({ entry, signal });
  }, signal);
}

export async function updateContainerResources(
  engine: Engine,
  { containerId, linux }: UpdateContainerResourcesRequest,
  { signal: given }: Abortable = {},
): Promise<void> {
  await inTurn(engine, { containerId, signal: given }, async ({ entry, signal }) => {
    const { state, resources: before } = entry.record;
    const after = mergeResources(before, linux);
    takeRoom(engine, entry, after);
    try {
      if (state === "created") await checkResources(engine, entry, { after, signal });
      else await applyResources(entry, { after, signal });
      try {
        await persistContainer(engine, entry, { resources: after });
      } catch (error) {
        if (state !== "created") await applyResources(entry, { after: before ?? {} });
        throw error;
      }
    } catch (error) {
      takeRoom(engine, entry, before);
      throw error;
    }
  });
}

function takeRoom(
  { admission }: Engine,
  { id, sandbox }: ContainerEntry,
  resources: LinuxContainerResources | undefined,
): void {
  const old = sandbox.demands.get(id);
  sandbox.demands.set(id, demandOf(resources));
  try {
    admission.change(sandbox.id, sandboxDemand(sandbox.record, sandbox.demands.values()));
  } catch (error) {
    if (old !== undefined) sandbox.demands.set(id, old);
    throw error;
  }
}

async function checkResources(
  engine: Engine,
  entry: ContainerEntry,
  { after, signal }: { readonly after: LinuxContainerResources; readonly signal: AbortSignal },
): Promise<void> {
  const up = requireUp(entry.sandbox);
  const changed = { ...entry, record: { ...entry.record, resources: after } };
  await entry.sandbox.driverTurn.run(
    () => up.check(driverContainerSpec(engine, changed), { signal }),
    signal,
  );
}

async function applyResources(
  entry: ContainerEntry,
  change: {
    readonly after: LinuxContainerResources;
    readonly signal?: AbortSignal;
  },
): Promise<void> {
  const { after, signal } = change;
  const container = requireRunning(entry);
  requireCapability(entry.sandbox, "updateResources");
  await entry.sandbox.driverTurn.run(
    async () => container.updateResources?.(after, signal === undefined ? {} : { signal }),
    signal,
  );
}

export async function updatePodSandboxResources(
  engine: Engine,
  { podSandboxId, overhead, resources }: UpdatePodSandboxResourcesRequest,
  { signal }: Abortable = {},
): Promise<void> {
  signal?.throwIfAborted();
  const entry = engine.registry.getSandbox(podSandboxId);
  requireUp(entry);
  const { linux } = entry.record.config;
  const change = {
    resources: mergeResources(entry.record.resources ?? linux?.resources, resources),
    overhead: mergeResources(entry.record.overhead ?? linux?.overhead, overhead),
  };
  const demandFor = (record: typeof entry.record) => sandboxDemand(record, entry.demands.values());
  engine.admission.change(entry.id, demandFor({ ...entry.record, ...change }));
  try {
    await persistSandbox(engine, entry, change);
  } catch (error) {
    engine.admission.change(entry.id, demandFor(entry.record));
    throw error;
  }
}

export async function reopenContainerLog(
  engine: Engine,
  { containerId }: ContainerRef,
  { signal: given }: Abortable = {},
): Promise<void> {
  await inTurn(engine, { containerId, signal: given }, async ({ entry, signal }) => {
    const container = requireRunning(entry);
    if (entry.record.logPath === undefined) {
      throw new LongshoreError(
        "SANDBOX_INVALID_STATE",
        `The container ${entry.id} has no log file.`,
      );
    }
    await entry.sandbox.driverTurn.run(() => container.reopenLog({ signal }), signal);
  });
}

export async function pauseContainer(
  engine: Engine,
  { containerId }: ContainerRef,
  { signal: given }: Abortable = {},
): Promise<void> {
  await inTurn(engine, { containerId, signal: given }, async ({ entry, signal }) => {
    const container = requirePausable(entry);
    if (entry.record.isPaused) return;
    // Written first: a stop after a crash must know that signals do not get through.
    await persistContainer(engine, entry, { isPaused: true });
    try {
      await entry.sandbox.driverTurn.run(async () => container.pause?.({ signal }), signal);
    } catch (error) {
      await entry.sandbox.driverTurn.run(async () => container.resume?.());
      await persistContainer(engine, entry, { isPaused: false });
      throw error;
    }
  });
}

export async function resumeContainer(
  engine: Engine,
  { containerId }: ContainerRef,
  { signal: given }: Abortable = {},
): Promise<void> {
  await inTurn(engine, { containerId, signal: given }, async ({ entry, signal }) => {
    const container = requirePausable(entry);
    if (!entry.record.isPaused) return;
    await entry.sandbox.driverTurn.run(async () => container.resume?.({ signal }), signal);
    await persistContainer(engine, entry, { isPaused: false });
  });
}

function requirePausable(entry: ContainerEntry): DriverContainer {
  const container = requireRunning(entry);
  requireCapability(entry.sandbox, "pause");
  return container;
}

export async function commitContainer(
  engine: Engine,
  request: CommitContainerRequest,
  { signal: given }: Abortable = {},
): Promise<string> {
  const { committer } = engine;
  if (committer === undefined) throw unsupported("This runtime makes no images of containers.");
  const { containerId } = request;
  return inTurn(engine, { containerId, signal: given }, async ({ entry, signal }) => {
    const { state, isPaused } = entry.record;
    const container = state === "running" && !isPaused ? requirePausable(entry) : undefined;
    const { driverTurn } = entry.sandbox;
    try {
      await driverTurn.run(
        async () => unlessEnded(container, container?.pause?.({ signal })),
        signal,
      );
      const { reference, config, comment } = request;
      return await committer.commitRootfs(entry.id, { reference, config, comment, signal });
    } finally {
      // Whatever happened, and also when nobody waits any more: it must run on.
      await driverTurn.run(async () => unlessEnded(container, container?.resume?.()));
    }
  });
}

/** Waits for what only a running container needs: one that has ended meanwhile writes no more, and there is no error. */
async function unlessEnded(
  container: DriverContainer | undefined,
  step: Promise<void> | undefined,
): Promise<void> {
  try {
    await step;
  } catch (error) {
    const ended = container?.exit.then(noop, noop) ?? Promise.resolve();
    if (!(await within(ended, endNoticeMs))) throw error;
  }
}

export async function checkpointContainer(
  engine: Engine,
  { containerId }: ContainerRef,
): Promise<never> {
  engine.registry.getContainer(containerId);
  throw unsupported("Containers cannot be written to an archive and restored.");
}
