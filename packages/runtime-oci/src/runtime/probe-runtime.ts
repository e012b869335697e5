import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Abortable, DriverAvailability } from "@longshore/core";
import { openRuntime } from "./find-runtime.ts";

const run = promisify(execFile);

export async function probeRuntime(
  { binary, stateDirectory }: { readonly binary: string; readonly stateDirectory: string },
  { signal }: Abortable = {},
): Promise<DriverAvailability> {
  const context = await openRuntime({ binary, name: binary, stateDirectory });
  const { stdout } = await run(context.binary, ["--version"], { signal });
  return { isAvailable: true, version: /version (\S+)/.exec(stdout)?.[1] ?? "" };
}
