import type { ImageClient, RuntimeClient } from "@longshore/core";
import { connectRuntime } from "@longshore/runtime";

/** What sandboxes are made with. Without `images` the image must be in the runtime's store already. */
export interface ExampleRuntime {
  readonly runtime: RuntimeClient;
  readonly images?: ImageClient | undefined;
}

/** Uses the runtime that is served at the Unix socket `LONGSHORE_RUNTIME`. */
export async function openRuntime(): Promise<ExampleRuntime> {
  const path = process.env["LONGSHORE_RUNTIME"];
  if (path === undefined) throw new Error("Set LONGSHORE_RUNTIME to the socket of a runtime.");
  return { runtime: await connectRuntime({ path }) };
}
