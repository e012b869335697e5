import { join } from "node:path";
import { LongshoreError, type DriverSandboxSpec } from "@longshore/core";
import { cgroupDirectory } from "../cgroup/hierarchies.ts";
import type { RuntimeContext } from "../runtime/runtime-context.ts";
import { hasInit, hasOwnLoopback, isRootless, sandboxNamespaces } from "./sandbox-context.ts";
import { sandboxFiles } from "./sandbox-files.ts";
import { callersUser, sandboxUsers } from "./user-namespace.ts";

const shmBytes = 67_108_864;

/** Makes the namespaces of a sandbox, its files and `/dev/shm`, and process 1 where containers share their processes. */
export async function makeNamespaces(
  runtime: RuntimeContext,
  spec: DriverSandboxSpec,
  cgroup: string | undefined,
): Promise<void> {
  const { hierarchies, kind } = runtime;
  const rootless = isRootless(runtime);
  const options = sandboxNamespaces(spec);
  const hasHostNetwork = options.network === "node";
  const { hostname } = spec.config;
  const leaf =
    hierarchies === undefined || cgroup === undefined
      ? undefined
      : cgroupDirectory(hierarchies, join(cgroup, "init"), "freezer");
  const files = await sandboxFiles(spec);
  const users = rootless ? callersUser() : sandboxUsers(spec);
  // What containers share is in their kernel then, or they share nothing.
  const isHosts = {
    ipc: options.ipc === "node" || kind.hasOwnKernel,
    uts: hasHostNetwork || kind.hasOwnKernel,
  };
  const settings = {
    uids: toHex(users?.uidMap),
    gids: toHex(users?.gidMap),
    ipc: isHosts.ipc ? "" : "1",
    uts: isHosts.uts ? "" : "1",
    pid: hasInit(runtime, spec) ? "1" : "",
    loopback: hasOwnLoopback(spec) && !kind.hasOwnKernel ? "1" : "",
    rootless: rootless ? "1" : "",
    name: isHosts.uts ? "" : (hostname ?? ""),
    hosts: toHex(files.hosts),
    "resolv.conf": toHex(files["resolv.conf"]),
    hostname: toHex(files.hostname),
    network: spec.networkNamespace ?? "",
    shm: isHosts.ipc ? "" : String(shmBytes),
    cgroup: leaf ?? "",
  };
  const words = Object.entries(settings).map(([key, value]) => `${key}=${value}`);
  try {
    const args = [spec.directory, ...words];
    await runtime.helper.run("sandbox", args, "make the sandbox's namespaces");
  } catch (error) {
    throw new LongshoreError(
      "SANDBOX_CREATE_FAILED",
      error instanceof Error ? error.message : String(error),
      { cause: error },
    );
  }
}

function toHex(text = ""): string {
  return Buffer.from(text).toString("hex");
}
