import {
  LongshoreError,
  type Abortable,
  type DriverSandbox,
  type DriverSandboxSpec,
} from "@longshore/core";
import { connectMonitor } from "../monitor/launch-monitor.ts";
import type { RuntimeContext } from "../runtime/runtime-context.ts";
import { checkSysctls } from "../spec/sysctls.ts";
import { driverSandbox } from "./driver-sandbox.ts";
import { makeNamespaces } from "./make-namespaces.ts";
import { checkKernelSandbox } from "./check-own-kernel.ts";
import { checkRootlessSandbox } from "./check-rootless.ts";
import {
  hasInit,
  initSocket,
  isRootless,
  sandboxNamespaces,
  type SandboxContext,
} from "./sandbox-context.ts";
import { writeSandboxRecord } from "./sandbox-record.ts";
import { takeDown } from "./take-down.ts";
import { sandboxUsers } from "./user-namespace.ts";

/**
 * Makes a sandbox; when that fails or is aborted, nothing of it stays.
 *
 * @throws {LongshoreError} `SANDBOX_CREATE_FAILED`, `RUNTIME_NOT_SUPPORTED`, `VALIDATION_ERROR`
 */
export async function prepareSandbox(
  runtime: RuntimeContext,
  spec: DriverSandboxSpec,
  { signal }: Abortable = {},
): Promise<DriverSandbox> {
  signal?.throwIfAborted();
  check(runtime, spec);
  const cgroup = runtime.hierarchies === undefined ? undefined : cgroupPath(spec);
  const context: SandboxContext = { runtime, spec, cgroup, pids: new Map() };
  await writeSandboxRecord(runtime.stateDirectory, {
    id: spec.id,
    directory: spec.directory,
    cgroup,
  });
  try {
    await makeNamespaces(runtime, spec, cgroup);
    signal?.throwIfAborted();
    const init = hasInit(runtime, spec)
      ? await connectMonitor(spec.directory, initSocket)
      : undefined;
    return driverSandbox(context, init);
  } catch (error) {
    await takeDown(context);
    throw error;
  }
}

/** Below the parent that the configuration names, for the sandbox's containers. */
function cgroupPath({ id, config }: DriverSandboxSpec): string {
  const parent = config.linux?.cgroupParent ?? "";
  if (parent !== "" && !parent.startsWith("/")) {
    throw new LongshoreError(
      "RUNTIME_NOT_SUPPORTED",
      `The cgroup "${parent.slice(0, 128)}" is one of systemd's; name a path of the cgroup filesystem.`,
      { details: { field: "cgroupParent" } },
    );
  }
  if (parent.split("/").some((part) => part === ".." || part.includes("\0"))) {
    throw invalid("cgroupParent", "The path of a cgroup does not leave its parents.");
  }
  return `${parent.replace(/\/+$/, "")}/longshore/${id}`;
}

function check(
  runtime: RuntimeContext,
  { id, networkNamespace, ...spec }: DriverSandboxSpec,
): void {
  if (!/^[a-zA-Z0-9][\w.-]{0,127}$/.test(id)) throw invalid("id", "It cannot name a sandbox.");
  const options = sandboxNamespaces({ id, ...spec });
  const { network, pid } = options;
  sandboxUsers({ id, ...spec });
  const sysctls = spec.config.linux?.sysctls ?? {};
  // Each container gets them; a sandbox that could have none is refused at once.
  checkSysctls(sysctls, options);
  if (runtime.kind.hasOwnKernel) {
    checkKernelSandbox(options, sysctls, runtime.networkLack);
    // It takes words of its command line that hold this one for that option of its own.
    if (spec.directory.includes("detach"))
      throw invalid("directory", 'Its path has "detach" in it.');
  }
  if (isRootless(runtime)) {
    checkRootlessSandbox(options);
    if (networkNamespace !== undefined) {
      throw invalid("networkNamespace", "Without root a network namespace cannot be joined.");
    }
  } else if ((network ?? "pod") === "pod" && networkNamespace === undefined) {
    throw invalid("networkNamespace", "The sandbox needs a network namespace of its own.");
  }
  if (pid === "target") throw invalid("namespaceOptions.pid", "A sandbox has no target to join.");
}

function invalid(field: string, message: string): LongshoreError {
  return new LongshoreError("VALIDATION_ERROR", message, { details: { field } });
}
