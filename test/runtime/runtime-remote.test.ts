import { join } from "node:path";
import { connectRuntime, serveRuntime } from "@longshore/runtime";
import { describeRuntimeConformance, type RuntimeHarness } from "@longshore/testkit";
import { describeReal } from "./fixtures/describe-real.ts";
import { realHarness } from "./fixtures/real-harness.ts";
import type { RealPlace } from "./fixtures/real-place.ts";

/** A runtime through the socket at which it is served. */
async function remoteHarness(place: RealPlace): Promise<RuntimeHarness> {
  const host = await realHarness(place);
  const path = join(place.directory, "runtime.sock");
  const server = await serveRuntime(host.runtime, { path });
  const runtime = await connectRuntime({ path });
  return {
    ...host,
    runtime,
    async [Symbol.asyncDispose]() {
      await runtime[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await host[Symbol.asyncDispose]();
    },
  };
}

describeReal("real containers of another process", (place) => {
  describeRuntimeConformance("the same through a socket", {
    create: () => remoteHarness(place()),
    // Every form of a call, and the streams: what a call does is the same on both sides.
    parts: ["runtime info", "exec", "attach", "event", "pause"],
  });
});
