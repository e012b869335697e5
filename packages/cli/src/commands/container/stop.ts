import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { isLongshoreError, LongshoreError, type RuntimeClient } from "@longshore/core";
import { exitCodeFor, exitCodes } from "../../exit-codes.ts";
import { openTerminal } from "../../terminal.ts";
import { findContainer, type FoundContainer } from "./find-container.ts";
import { reachRuntime, type RuntimeFlags } from "./reach-runtime.ts";

export interface StopFlags extends RuntimeFlags {
  readonly time: number;
}

/** Stops containers and keeps them, with their logs. */
export function stopContainers(names: readonly string[], flags: StopFlags): Promise<number> {
  return onEach(names, flags, async (runtime, { container }) => {
    await runtime.stopContainer({ containerId: container.id, timeout: flags.time });
    return "stopped";
  });
}

export interface RemoveFlags extends RuntimeFlags {
  readonly force?: boolean;
}

/** Removes containers, the sandbox of each with its last one. */
export function removeContainers(names: readonly string[], flags: RemoveFlags): Promise<number> {
  return onEach(names, flags, async (runtime, { container, sandbox }) => {
    if (container.state === "running" && flags.force !== true) {
      throw new LongshoreError(
        "SANDBOX_INVALID_STATE",
        `${sandbox.metadata.name} is running: stop it first, or say --force.`,
      );
    }
    const { status } = await runtime.containerStatus({ containerId: container.id });
    await runtime.removeContainer({ containerId: container.id });
    const others = await runtime.listContainers({ podSandboxId: sandbox.id });
    if (others.length > 0) return "removed";
    await runtime.removePodSandbox({ podSandboxId: sandbox.id });
    if (status.logPath !== undefined) {
      await rm(dirname(status.logPath), { recursive: true, force: true });
    }
    return "removed";
  });
}

/** Does something to each container; what fails for one is told, and the others go on. */
async function onEach(
  names: readonly string[],
  flags: RuntimeFlags,
  act: (runtime: RuntimeClient, found: FoundContainer) => Promise<string>,
): Promise<number> {
  const terminal = openTerminal(flags);
  await using runtime = await reachRuntime(flags);
  let exitCode: number = exitCodes.ok;
  for (const name of names) {
    try {
      const found = await findContainer(runtime, name);
      const outcome = await act(runtime, found);
      if (terminal.isJson) terminal.printJson({ container_id: found.container.id, outcome });
      else terminal.print(`${name} ${outcome}`);
    } catch (error) {
      if (!isLongshoreError(error)) throw error;
      terminal.note(`longshore: ${error.message}`);
      exitCode = exitCodeFor(error);
    }
  }
  return exitCode;
}
