import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type {
  DriverContainer,
  DriverContainerSpec,
  DriverSandboxSpec,
  LinuxContainerUser,
  DriverRecoverOptions,
  RecoveredSandbox,
} from "@longshore/core";
import { containerContext } from "../container/container-context.ts";
import { readContainerRecords } from "../container/container-record.ts";
import { controlMonitor, endedMonitor } from "../container/control-monitor.ts";
import { endUnwatched } from "../container/end-unwatched.ts";
import { driverContainer } from "../container/driver-container.ts";
import { processUser } from "../container/start-container.ts";
import { release } from "../cgroup/release.ts";
import { connectMonitor, monitorSocket } from "../monitor/launch-monitor.ts";
import type { RuntimeContext } from "../runtime/runtime-context.ts";
import type { OciSpec } from "../spec/oci-spec.ts";
import { driverSandbox } from "./driver-sandbox.ts";
import { hasInit, initSocket, sandboxNamespaces, type SandboxContext } from "./sandbox-context.ts";
import {
  isOthers,
  readSandboxRecords,
  writeSandboxRecord,
  type SandboxRecord,
} from "./sandbox-record.ts";
import { takeDown } from "./take-down.ts";
import { mountedPaths } from "../cgroup/release.ts";

/** A monitor says at once how its container is doing. */
const answerTimeoutMs = 10_000;

/** Takes over the sandboxes that are known and still up, and takes down what else an earlier program left. */
export async function recoverSandboxes(
  runtime: RuntimeContext,
  known: readonly DriverSandboxSpec[],
  { onProblem = () => undefined }: DriverRecoverOptions = {},
): Promise<ReadonlyMap<string, RecoveredSandbox>> {
  const records = await readSandboxRecords(runtime.stateDirectory);
  const byId = new Map(records.map((record) => [record.id, record]));
  const recovered = new Map<string, RecoveredSandbox>();
  await Promise.all(
    known.map(async (spec) => {
      const record = byId.get(spec.id);
      byId.delete(spec.id);
      const found = await recoverSandbox(runtime, spec, record);
      if (found !== undefined) recovered.set(spec.id, found);
    }),
  );
  await Promise.all(
    [...byId.values()].map(async (record) => {
      if (await isOthers(record)) return;
      const { id: sandboxId } = record;
      // Nobody waits for it: the others must not either. Its record stays, and so it is tried again.
      await takeDown(forgotten(runtime, record), (message) =>
        onProblem({ sandboxId, message }),
      ).catch((error: unknown) => {
        onProblem({ sandboxId, message: "It could not be taken down.", error });
      });
    }),
  );
  return recovered;
}

async function recoverSandbox(
  runtime: RuntimeContext,
  spec: DriverSandboxSpec,
  record: SandboxRecord | undefined,
): Promise<RecoveredSandbox | undefined> {
  const context: SandboxContext = { runtime, spec, cgroup: record?.cgroup, pids: new Map() };
  const init = await findInit(runtime, spec);
  if (record === undefined || init === "gone") {
    await takeDown(context);
    return undefined;
  }
  await writeSandboxRecord(runtime.stateDirectory, record);
  const containers = new Map<string, DriverContainer>();
  for (const container of readContainerRecords(spec.directory)) {
    containers.set(container.id, await recoverContainer(context, container));
  }
  return { sandbox: driverSandbox(context, init === "none" ? undefined : init), containers };
}

/** Process 1 of a sandbox; a sandbox without one lives as long as its namespaces are there. */
async function findInit(
  runtime: RuntimeContext,
  spec: DriverSandboxSpec,
): Promise<"gone" | "none" | Awaited<ReturnType<typeof connectMonitor>>> {
  const { ipc, network } = sandboxNamespaces(spec);
  if (hasInit(runtime, spec)) {
    return connectMonitor(spec.directory, initSocket).catch(() => "gone" as const);
  }
  if (runtime.kind.hasOwnKernel) {
    // Its own files in memory, which it has instead of namespaces.
    return mountedPaths([spec.directory]).length > 0 ? "none" : "gone";
  }
  const held = ipc !== "node" ? "ipc" : network !== "node" ? "uts" : undefined;
  if (held === undefined) return "none";
  const mounts = mountedPaths([join(spec.directory, "ns")]);
  return mounts.some((path) => path.endsWith(`/${held}`)) ? "none" : "gone";
}

async function recoverContainer(
  sandbox: SandboxContext,
  spec: DriverContainerSpec,
): Promise<DriverContainer> {
  const context = containerContext(sandbox, spec);
  const { directory } = context;
  const user = await readUser(directory);
  const socket = await connectMonitor(directory, monitorSocket).catch(() => undefined);
  if (socket !== undefined) {
    const monitor = controlMonitor(socket, directory);
    monitor.connection.send("H");
    // One that is stopped never answers: the container is what it was, and tells the rest when its monitor goes on.
    const silence = delay(answerTimeoutMs, undefined, { ref: false });
    const state = await Promise.race([monitor.started, monitor.exit, silence]).catch(
      () => undefined,
    );
    if (typeof state === "number") sandbox.pids.set(spec.id, state);
    return driverContainer(context, { monitor, sessions: [], user });
  }
  // Without a monitor nobody would hear of its end, nor write its log: what runs of it is ended.
  await release({ runtime: sandbox.runtime, cgroup: context.cgroup });
  await endUnwatched(context);
  const monitor = endedMonitor(directory);
  return driverContainer(context, { monitor, sessions: [], user });
}

async function readUser(directory: string): Promise<LinuxContainerUser | undefined> {
  const text = await readFile(join(directory, "config.json"), "utf8").catch(() => undefined);
  // This program wrote it; a container that died before has none.
  return text === undefined ? undefined : processUser(JSON.parse(text) as OciSpec);
}

/** Enough of a sandbox that nobody knows to take it down. */
function forgotten(
  runtime: RuntimeContext,
  { id, directory, cgroup }: SandboxRecord,
): SandboxContext {
  const config = { metadata: { name: id, uid: id, namespace: "" } };
  return { runtime, spec: { id, directory, config }, cgroup, pids: new Map() };
}
