import type { Socket } from "node:net";
import { join } from "node:path";
import { LongshoreError, type DriverContainerSpec, type DriverSandbox } from "@longshore/core";
import { checkContainer } from "../container/check-container.ts";
import { containerContext } from "../container/container-context.ts";
import { startContainer } from "../container/start-container.ts";
import { connectPort, type NetworkPaths } from "./connect-port.ts";
import { hasOwnLoopback, isRootless, type SandboxContext } from "./sandbox-context.ts";
import { sandboxStats } from "./sandbox-stats.ts";
import { takeDown } from "./take-down.ts";

/**
 * A sandbox that is up.
 *
 * @param init connection to its process 1; absent when it has none
 */
export function driverSandbox(context: SandboxContext, init: Socket | undefined): DriverSandbox {
  const ended = Promise.withResolvers<void>();
  let teardown: Promise<void> | undefined;
  let isDown = false;
  /** Containers that have no process yet */
  const starting = new Set<string>();
  // With process 1 all others of its namespace end.
  const stay = context.runtime.life.onEnd(() => init?.destroy());
  init?.once("close", () => {
    stay();
    if (context.runtime.life.hasEnded()) return;
    isDown = true;
    ended.resolve();
  });
  // Data never comes, but the end does only to who reads.
  init?.on("error", () => undefined).resume();

  const checkUp = (): void => {
    if (!isDown) return;
    throw new LongshoreError("SANDBOX_INVALID_STATE", "The sandbox is down.");
  };
  return {
    ended: ended.promise,
    async check(spec, options) {
      options?.signal?.throwIfAborted();
      checkRoom(context, [...context.pids.keys(), ...starting], spec);
      await checkContainer(containerContext(context, spec));
    },
    async start(spec, options) {
      checkUp();
      checkId(spec);
      checkRoom(context, [...context.pids.keys(), ...starting], spec);
      starting.add(spec.id);
      try {
        return await startContainer(containerContext(context, spec), options);
      } finally {
        starting.delete(spec.id);
      }
    },
    async connect(port, options) {
      checkUp();
      if (context.runtime.kind.hasOwnKernel) throw noPorts(port);
      return connectPort({ perl: context.runtime.perl, ...networkPaths(context) }, port, options);
    },
    async stats(options) {
      options?.signal?.throwIfAborted();
      return sandboxStats(context);
    },
    async teardown() {
      isDown = true;
      teardown ??= takeDown(context);
      try {
        await teardown;
      } catch (error) {
        // What could not be taken away may be tried again.
        teardown = undefined;
        throw error;
      }
      init?.destroy();
      ended.resolve();
    },
  };
}

/** How to get to the sandbox's network: without root by way of its user namespace. */
function networkPaths({ runtime, spec }: SandboxContext): NetworkPaths {
  if (!hasOwnLoopback(spec)) return { network: spec.networkNamespace };
  const file = (name: string): string => join(spec.directory, "ns", name);
  return { network: file("net"), ...(isRootless(runtime) && { users: file("user") }) };
}

/**
 * Containers of a sandbox share at least their network, which two kernels cannot.
 *
 * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` while another container runs
 */
function checkRoom(
  { runtime }: SandboxContext,
  present: readonly string[],
  { id }: DriverContainerSpec,
): void {
  if (!runtime.kind.hasOwnKernel) return;
  const other = present.find((each) => each !== id);
  if (other === undefined) return;
  throw new LongshoreError(
    "RUNTIME_NOT_SUPPORTED",
    `A sandbox of ${runtime.kind.name} runs one container at a time, and ${other} runs; make a sandbox for each.`,
    { details: { field: "podSandboxId", containerId: other } },
  );
}

function noPorts(port: number): LongshoreError {
  return new LongshoreError(
    "RUNTIME_NOT_SUPPORTED",
    `Port ${port} is in the container's own kernel, which the host cannot connect to; publish the port instead.`,
    { details: { field: "port" } },
  );
}

/** It becomes a file's name, and a word on command lines. */
function checkId({ id }: DriverContainerSpec): void {
  if (/^[a-zA-Z0-9][\w.-]{0,127}$/.test(id)) return;
  throw new LongshoreError("VALIDATION_ERROR", `${JSON.stringify(id.slice(0, 64))} is no id.`, {
    details: { field: "id" },
  });
}
