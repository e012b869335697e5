import type { RuntimeClient } from "@longshore/core";
import type { Engine } from "../engine/engine.ts";
import { matchesContainer, matchesSandbox } from "../engine/filters.ts";
import {
  toContainer,
  toContainerStatus,
  toPodSandbox,
  toPodSandboxStatus,
} from "../engine/statuses.ts";
import { abortable, within } from "../engine/turn-queue.ts";
import { attach, files, portForward } from "./attach.ts";
import {
  checkpointContainer,
  commitContainer,
  pauseContainer,
  reopenContainerLog,
  resumeContainer,
  updateContainerResources,
  updatePodSandboxResources,
} from "./change-container.ts";
import { createContainer } from "./create-container.ts";
import { execSync } from "./exec-sync.ts";
import { exec } from "./exec.ts";
import { listMetricDescriptors, listPodSandboxMetrics } from "./metrics.ts";
import { removeContainerEntry } from "./remove-container.ts";
import { runPodSandbox } from "./run-sandbox.ts";
import { startContainer } from "./start-container.ts";
import {
  containerStats,
  listContainerStats,
  listPodSandboxStats,
  podSandboxStats,
} from "./stats.ts";
import { containerInfo, podSandboxInfo, status, version } from "./status.ts";
import { signalContainer, waitContainer } from "./signal-container.ts";
import { stopContainer } from "./stop-container.ts";
import { removeSandboxEntry, stopSandboxEntry } from "./stop-sandbox.ts";

/** A {@link RuntimeClient} with all its abilities, over the drivers it was given; checkpoints are refused. */
export type Runtime = Required<RuntimeClient>;

type Calls = Omit<Runtime, typeof Symbol.asyncDispose>;

/** How long calls may take to end when the engine closes */
const closePatienceMs = 15_000;

export interface TrackedCalls {
  readonly calls: Calls;
  /** Resolves when no call is under way, or when they take too long. */
  idle(): Promise<void>;
}

/** Every call of the contract, refused when the engine closes. */
export function trackedCalls(engine: Engine, cgroupDriver: "systemd" | "cgroupfs"): TrackedCalls {
  const running = new Set<Promise<unknown>>();
  const { closing, registry } = engine;

  const track =
    <Args extends readonly unknown[], Answer>(call: (...args: Args) => Promise<Answer>) =>
    async (...args: Args): Promise<Answer> => {
      closing.throwIfAborted();
      const work = call(...args);
      running.add(work);
      try {
        return await work;
      } finally {
        running.delete(work);
      }
    };
  const bound = <Args extends readonly unknown[], Answer>(
    call: (engine: Engine, ...args: Args) => Promise<Answer>,
  ) => track((...args: Args) => call(engine, ...args));

  const calls: Calls = {
    version: track(version),
    status: bound(status),
    runtimeConfig: track(async () => ({ linux: { cgroupDriver } })),
    // The network is configured by whoever opened the engine.
    updateRuntimeConfig: track(async () => undefined),

    runPodSandbox: bound(runPodSandbox),
    stopPodSandbox: track(async ({ podSandboxId }, { signal } = {}) => {
      signal?.throwIfAborted();
      const entry = registry.findSandbox(podSandboxId);
      if (entry !== undefined) await abortable(stopSandboxEntry(engine, entry), signal);
    }),
    removePodSandbox: track(async ({ podSandboxId }, { signal } = {}) => {
      signal?.throwIfAborted();
      const entry = registry.findSandbox(podSandboxId);
      if (entry !== undefined) await abortable(removeSandboxEntry(engine, entry), signal);
    }),
    podSandboxStatus: track(async ({ podSandboxId, verbose = false }, { signal } = {}) => {
      signal?.throwIfAborted();
      const entry = registry.getSandbox(podSandboxId);
      return {
        status: toPodSandboxStatus(entry),
        containersStatuses: [...entry.containers.values()].map(toContainerStatus),
        timestamp: BigInt(Date.now()) * 1_000_000n,
        ...(verbose && { info: podSandboxInfo(engine, entry) }),
      };
    }),
    listPodSandbox: track(async (filter = {}, { signal } = {}) => {
      signal?.throwIfAborted();
      const matches = matchesSandbox(registry, filter);
      return [...registry.sandboxes.values()].filter(matches).map(toPodSandbox);
    }),
    updatePodSandboxResources: bound(updatePodSandboxResources),

    createContainer: bound(createContainer),
    startContainer: bound(startContainer),
    stopContainer: bound(stopContainer),
    removeContainer: track(async ({ containerId }, { signal } = {}) => {
      signal?.throwIfAborted();
      const entry = registry.findContainer(containerId);
      if (entry !== undefined) await abortable(removeContainerEntry(engine, entry), signal);
    }),
    containerStatus: track(async ({ containerId, verbose = false }, { signal } = {}) => {
      signal?.throwIfAborted();
      const entry = registry.getContainer(containerId);
      return {
        status: toContainerStatus(entry),
        ...(verbose && { info: containerInfo(engine, entry) }),
      };
    }),
    listContainers: track(async (filter = {}, { signal } = {}) => {
      signal?.throwIfAborted();
      const matches = matchesContainer(registry, filter);
      return [...registry.containers.values()].filter(matches).map(toContainer);
    }),
    signalContainer: bound(signalContainer),
    waitContainer: bound(waitContainer),
    updateContainerResources: bound(updateContainerResources),
    reopenContainerLog: bound(reopenContainerLog),
    checkpointContainer: bound(checkpointContainer),
    pauseContainer: bound(pauseContainer),
    resumeContainer: bound(resumeContainer),
    commitContainer: bound(commitContainer),

    execSync: bound(execSync),
    exec: bound(exec),
    attach: bound(attach),
    portForward: bound(portForward),
    files: (request) => files(engine, request),

    containerStats: bound(containerStats),
    listContainerStats: bound(listContainerStats),
    podSandboxStats: bound(podSandboxStats),
    listPodSandboxStats: bound(listPodSandboxStats),
    listMetricDescriptors: track(listMetricDescriptors),
    listPodSandboxMetrics: bound(listPodSandboxMetrics),
    getContainerEvents: ({ signal } = {}) => engine.events.subscribe(signal),
  };

  return {
    calls,
    async idle() {
      await within(Promise.allSettled(running), closePatienceMs);
    },
  };
}
