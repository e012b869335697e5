import {
  isLongshoreError,
  LongshoreError,
  type AttachSession,
  type DriverContainer,
  type LinuxContainerUser,
} from "@longshore/core";
import { release } from "../cgroup/release.ts";
import { runRuntime } from "../runtime/run-runtime.ts";
import { runtimeState } from "../sandbox/sandbox-context.ts";
import { connectRunning } from "./connect-running.ts";
import { containerFileAccess } from "./container-file-access.ts";
import type { ContainerContext } from "./container-context.ts";
import { containerStats } from "./container-stats.ts";
import type { ControlledMonitor } from "./control-monitor.ts";
import { execInContainer } from "./exec-in-container.ts";
import { isFrozen } from "./is-frozen.ts";
import { openSession } from "./open-session.ts";
import { removeContainer } from "./remove-container.ts";
import { signalNumber } from "./signal-numbers.ts";
import { updateResources } from "./update-resources.ts";
import { wantedStreams } from "./wanted-streams.ts";

export interface RunningContainer {
  readonly monitor: ControlledMonitor;
  readonly sessions: readonly AttachSession[];
  readonly user: LinuxContainerUser | undefined;
}

/** A container that runs, or has run, under its monitor. */
export function driverContainer(
  context: ContainerContext,
  { monitor, sessions, user }: RunningContainer,
): DriverContainer {
  const { sandbox, spec } = context;
  const { runtime } = sandbox;
  const { connection } = monitor;
  let hasEnded = false;
  let removal: Promise<void> | undefined;
  const forget = (): void => {
    hasEnded = true;
    sandbox.pids.delete(spec.id);
  };
  void connection.closed.then(runtime.life.onEnd(() => void connection.close()));
  monitor.exit.then(forget, async () => {
    forget();
    if (runtime.life.hasEnded()) return;
    // Without its monitor nobody would hear of its end, nor write its log; `remove` tries again.
    await release({ runtime, cgroup: context.cgroup }).catch(() => undefined);
  });

  const checkRunning = (): void => {
    if (!hasEnded) return;
    throw new LongshoreError("SANDBOX_INVALID_STATE", "The container has ended.");
  };
  const remove = async (): Promise<void> => {
    await monitor.stop();
    await removeContainer(context);
  };
  return {
    user,
    sessions,
    exit: monitor.exit,
    async signal(name) {
      const number = signalNumber(name);
      if (hasEnded) return;
      // A monitor that ends just now has no process left to tell.
      const asked = name === "SIGKILL" ? connection.ask("k") : connection.ask("s", [number]);
      await asked.catch(() => undefined);
    },
    async attach(request, options) {
      const wanted = wantedStreams(spec.process, request);
      checkRunning();
      const socket = await connectRunning(context.directory, options);
      return openSession(context, socket, wanted);
    },
    async exec(process, options) {
      checkRunning();
      return execInContainer(context, process, { ...options, orders: connection });
    },
    // Whoever enters the mounts of a kernel's process does not see what that kernel shows.
    ...(!runtime.kind.hasOwnKernel && { files: containerFileAccess(context, connection) }),
    async reopenLog(options) {
      options?.signal?.throwIfAborted();
      checkRunning();
      try {
        await connection.ask("l");
      } catch (cause) {
        // It ended while it was asked.
        if (!isLongshoreError(cause, "RUNTIME_UNAVAILABLE")) throw cause;
        throw new LongshoreError("SANDBOX_INVALID_STATE", "The container has ended.", { cause });
      }
    },
    ...(runtime.hierarchies !== undefined && {
      ...pauses(),
      ...(!runtime.kind.hasOwnKernel && changes()),
    }),
    async stats(options) {
      options?.signal?.throwIfAborted();
      return containerStats(context);
    },
    async remove() {
      removal ??= remove();
      try {
        await removal;
      } catch (error) {
        // What could not be taken away may be tried again.
        removal = undefined;
        throw error;
      }
    },
  };

  /** Limits, which a kernel of a container's own keeps as it was made. */
  function changes(): Pick<DriverContainer, "updateResources"> {
    return {
      async updateResources(resources, options) {
        options?.signal?.throwIfAborted();
        checkRunning();
        await updateResources(context, resources);
      },
    };
  }

  /** By cgroups, or by the container's own kernel. */
  function pauses(): Pick<DriverContainer, "pause" | "resume"> {
    return {
      async pause(options) {
        options?.signal?.throwIfAborted();
        checkRunning();
        await freeze("pause");
      },
      async resume(options) {
        options?.signal?.throwIfAborted();
        checkRunning();
        await freeze("resume");
      },
    };
  }

  async function freeze(command: "pause" | "resume"): Promise<void> {
    // The OCI runtime calls it an error when there is nothing to do.
    if ((await isFrozen(context)) === (command === "pause")) return;
    await runRuntime(runtime, { args: [command, spec.id], state: runtimeState(sandbox) });
  }
}
