import type { ContainerEvent } from "@longshore/core";
import { expect, vi } from "vitest";
import { method, needing, type CaseGroup } from "./case-group.ts";
import type { RuntimeCase } from "./runtime-case.ts";

/** Collects a case's events until it is disposed. */
interface Recorder extends AsyncDisposable {
  readonly events: readonly ContainerEvent[];
  /** Types of the events of one container or sandbox, once there are so many */
  types(id: string, count: number): Promise<readonly string[]>;
}

function record({ runtime }: RuntimeCase): Recorder {
  const stop = new AbortController();
  const stream = method(runtime.getContainerEvents, "getContainerEvents").call(runtime, {
    signal: stop.signal,
  });
  const events: ContainerEvent[] = [];
  const reading = (async () => {
    for await (const event of stream) events.push(event);
  })();
  reading.catch(() => undefined);
  return {
    events,
    types: (id, count) =>
      vi.waitFor(
        () => {
          const types = events
            .filter(({ containerId }) => containerId === id)
            .map(({ containerEventType }) => containerEventType);
          expect(types.length).toBeGreaterThanOrEqual(count);
          return types;
        },
        { timeout: 15_000, interval: 10 },
      ),
    async [Symbol.asyncDispose]() {
      stop.abort(new Error("the case is over"));
      await reading.catch((error: unknown) => {
        if (error !== stop.signal.reason) throw error;
      });
    },
  };
}

export const eventCases: CaseGroup = (check) => {
  const told = needing(check, "events");

  told("tells a container's life in order", async (tools) => {
    await using recorder = record(tools);
    const container = await tools.launch({ command: ["sh", "-c", "exit 3"] });
    await tools.ended(container);
    await tools.runtime.removeContainer(container);
    expect(await recorder.types(container.containerId, 4)).toEqual([
      "created",
      "started",
      "stopped",
      "deleted",
    ]);
  });

  told("tells a sandbox's life in order, by its own id", async (tools) => {
    await using recorder = record(tools);
    const { podSandboxId } = await tools.pod();
    await tools.runtime.stopPodSandbox({ podSandboxId });
    await tools.runtime.removePodSandbox({ podSandboxId });
    expect(await recorder.types(podSandboxId, 4)).toEqual([
      "created",
      "started",
      "stopped",
      "deleted",
    ]);
  });

  told("tells how everything stood at each event", async (tools) => {
    await using recorder = record(tools);
    const container = await tools.launch({ command: ["sh", "-c", "exit 3"] });
    await recorder.types(container.containerId, 3);
    const stopped = recorder.events.find(
      ({ containerId, containerEventType }) =>
        containerId === container.containerId && containerEventType === "stopped",
    );
    expect(stopped?.createdAt).toBeGreaterThan(0n);
    expect(stopped?.podSandboxStatus).toMatchObject({
      id: container.podSandboxId,
      state: "ready",
    });
    expect(stopped?.containersStatuses).toMatchObject([
      { id: container.containerId, state: "exited", exitCode: 3 },
    ]);
  });

  told("tells nothing of what was before", async (tools) => {
    const { podSandboxId } = await tools.pod();
    await using recorder = record(tools);
    const later = await tools.pod();
    await recorder.types(later.podSandboxId, 2);
    expect(recorder.events.map(({ containerId }) => containerId)).not.toContain(podSandboxId);
  });

  told("tells several readers, and a slow one holds nobody up", async (tools) => {
    const stop = new AbortController();
    const stream = method(tools.runtime.getContainerEvents, "getContainerEvents").call(
      tools.runtime,
      { signal: stop.signal },
    );
    const slow = stream[Symbol.asyncIterator]();
    const first = slow.next();
    await using one = record(tools);
    await using two = record(tools);
    const { podSandboxId } = await tools.pod();
    for (const recorder of [one, two]) {
      expect((await recorder.types(podSandboxId, 2)).slice(0, 2)).toEqual(["created", "started"]);
    }
    expect((await first).value).toMatchObject({ containerEventType: "created" });
    stop.abort(new Error("enough"));
    await slow.return?.();
  });

  told("ends when it is aborted, though nothing happens", async (tools) => {
    const recorder = record(tools);
    await recorder[Symbol.asyncDispose]();
  });
};
