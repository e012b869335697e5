import { join } from "node:path";
import { release } from "../cgroup/release.ts";
import { containerContext } from "../container/container-context.ts";
import { readContainerRecords } from "../container/container-record.ts";
import { endMonitor } from "../container/end-monitor.ts";
import { removeContainer } from "../container/remove-container.ts";
import { connectMonitor } from "../monitor/launch-monitor.ts";
import { initSocket, type SandboxContext } from "./sandbox-context.ts";
import { removeSandboxRecord } from "./sandbox-record.ts";

/** What a driver makes in a sandbox's directory. */
const ownNames = ["ns", "shm", "etc", "containers", "runtime", initSocket];

/** Told of what had to be done by force. */
export type TellProblem = (problem: string) => void;

/**
 * Ends a sandbox with all its containers, whoever started them, and gives back all that it holds. What is gone already is no
 * error.
 *
 * @throws {LongshoreError} `IO_ERROR` when processes or mounts stay
 */
export async function takeDown(
  context: SandboxContext,
  tell: TellProblem = () => undefined,
): Promise<void> {
  const { runtime, spec, cgroup } = context;
  const containers = readContainerRecords(spec.directory);
  await Promise.all(
    containers.map(async (container) => {
      const its = containerContext(context, container);
      if ((await endMonitor(its)) === "killed") {
        tell(`The monitor of the container ${container.id} did not answer, and was killed.`);
      }
      await removeContainer(its);
    }),
  );
  await endInit(spec.directory);
  await release({
    runtime,
    cgroup,
    directories: [spec.directory],
    remove: ownNames.map((name) => join(spec.directory, name)),
  });
  removeSandboxRecord(runtime.stateDirectory, spec.id);
}

/** Ends process 1, and with it all others of its namespace. One in a cgroup would be found by that, too. */
async function endInit(directory: string): Promise<void> {
  const socket = await connectMonitor(directory, initSocket).catch(() => undefined);
  if (socket === undefined) return;
  const closed = new Promise((resolve) => socket.once("close", resolve));
  // It may end before it has heard all.
  socket.on("error", () => undefined).resume();
  socket.write("end");
  await closed;
}
