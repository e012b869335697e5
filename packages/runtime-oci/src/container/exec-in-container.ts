import { randomBytes } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DriverProcess, ProcessSpec } from "@longshore/core";
import type { ContainerContext } from "./container-context.ts";
import { execProcess } from "./container-spec.ts";
import { runInMonitor, type MonitorOptions } from "./run-in-monitor.ts";

/**
 * Runs a command in a container. Its monitor starts it and knows its end; when the connection to this program breaks, the
 * monitor kills it with all that it started.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`, `EXECUTION_ERROR` with the OCI runtime's words, `SANDBOX_INVALID_STATE` when
 *   the container has ended
 */
export async function execInContainer(
  context: ContainerContext,
  spec: ProcessSpec,
  options: MonitorOptions,
): Promise<DriverProcess> {
  const { signal } = options;
  signal?.throwIfAborted();
  const process = await execProcess(context, spec);
  const name = `exec-${randomBytes(8).toString("hex")}`;
  const file = join(context.directory, `${name}.json`);
  // Into memory.
  writeFileSync(file, JSON.stringify(process), { mode: 0o600 });
  try {
    const words = [spec.tty ? "1" : ""];
    return await runInMonitor(context, { type: "X", name, spec, words }, options);
  } finally {
    if (signal?.aborted === true) rmSync(file, { force: true });
  }
}
