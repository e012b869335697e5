import type { Socket } from "node:net";
import { isLongshoreError, LongshoreError, type Abortable } from "@longshore/core";
import { connectMonitor, monitorSocket } from "../monitor/launch-monitor.ts";

/**
 * Connects to the monitor of a container that is taken to run.
 *
 * @throws {LongshoreError} `SANDBOX_INVALID_STATE` when it has ended
 */
export async function connectRunning(directory: string, options?: Abortable): Promise<Socket> {
  try {
    return await connectMonitor(directory, monitorSocket, options);
  } catch (cause) {
    if (!isLongshoreError(cause, "NOT_FOUND")) throw cause;
    throw new LongshoreError("SANDBOX_INVALID_STATE", "The container has ended.", { cause });
  }
}
