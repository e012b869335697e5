import {
  LongshoreError,
  type DriverCapability,
  type DriverContainer,
  type DriverSandbox,
} from "@longshore/core";
import type { ContainerEntry, SandboxEntry } from "./entries.ts";

/** What is up, of a sandbox that is. @throws {LongshoreError} `SANDBOX_INVALID_STATE`, `RUNTIME_UNAVAILABLE` */
export function requireUp(entry: SandboxEntry): DriverSandbox {
  if (!entry.isReady || entry.leaving.signal.aborted) throw notReady(entry);
  if (entry.sandbox !== undefined) return entry.sandbox;
  throw unreachable(entry);
}

/** The first process of a container that runs. @throws {LongshoreError} as {@link requireUp} */
export function requireRunning(entry: ContainerEntry): DriverContainer {
  const { state } = entry.record;
  if (state !== "running") {
    throw new LongshoreError(
      "SANDBOX_INVALID_STATE",
      `The container ${entry.id} is ${state}, not running.`,
      { details: { containerId: entry.id, state } },
    );
  }
  if (entry.driver === undefined) throw unreachable(entry.sandbox);
  return entry.driver;
}

/** @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` */
export function requireCapability(entry: SandboxEntry, capability: DriverCapability): void {
  if (entry.driver?.capabilities.has(capability) === true) return;
  throw unsupported(`The runtime handler "${entry.record.driver}" has no "${capability}".`, {
    runtimeHandler: entry.record.driver,
    capability,
  });
}

export function notReady({ id }: SandboxEntry): LongshoreError {
  return new LongshoreError("SANDBOX_INVALID_STATE", `The sandbox ${id} is not ready.`, {
    details: { podSandboxId: id },
  });
}

/** The driver is not here, or could not say what became of the sandbox. */
export function unreachable({ id, record }: SandboxEntry): LongshoreError {
  return new LongshoreError(
    "RUNTIME_UNAVAILABLE",
    `The runtime handler "${record.driver}" does not answer for the sandbox ${id}; open the runtime again when it works.`,
    { details: { podSandboxId: id, runtimeHandler: record.driver } },
  );
}

export function unsupported(
  message: string,
  details: Readonly<Record<string, unknown>> = {},
): LongshoreError {
  return new LongshoreError("RUNTIME_NOT_SUPPORTED", message, { details });
}

/** An error of ours as it is; anything else under a code of ours. */
export function wrapped(error: unknown, code: "SANDBOX_CREATE_FAILED" | "EXECUTION_ERROR"): Error {
  if (error instanceof LongshoreError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new LongshoreError(code, message, { cause: error });
}
