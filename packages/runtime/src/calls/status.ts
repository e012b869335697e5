import type {
  Abortable,
  RuntimeCondition,
  RuntimeHandler,
  RuntimeVersion,
  StatusRequest,
  StatusResponse,
} from "@longshore/core";
import type { Engine } from "../engine/engine.ts";
import type { ContainerEntry, SandboxEntry } from "../engine/entries.ts";
import { within } from "../engine/turn-queue.ts";
import type { SandboxNetworkCondition } from "../network/sandbox-network.ts";
import { runtimeVersion } from "../runtime-version.ts";

const networkPatienceMs = 5_000;

export async function version(): Promise<RuntimeVersion> {
  return {
    version: "0.1.0",
    runtimeName: "longshore",
    runtimeVersion,
    runtimeApiVersion: "v1",
  };
}

export async function status(
  engine: Engine,
  { verbose = false }: StatusRequest = {},
  { signal }: Abortable = {},
): Promise<StatusResponse> {
  signal?.throwIfAborted();
  const { drivers } = engine;
  const [network] = await Promise.all([networkCondition(engine), drivers.refresh()]);
  signal?.throwIfAborted();
  const handlers = drivers.names.map((name) => toHandler(engine, name));
  const response: StatusResponse = {
    conditions: [runtimeReady(engine), networkReady(network)],
    runtimeHandlers: [{ ...toHandler(engine, drivers.defaultName), name: "" }, ...handlers],
    features: {
      supplementalGroupsPolicy: true,
      userNamespacesHostNetwork: false,
      mountOptions: true,
    },
  };
  return verbose ? { ...response, info: info(engine) } : response;
}

/** Ready when the default handler works: the others say for themselves that they do not. */
function runtimeReady({ drivers }: Engine): RuntimeCondition {
  const broken = drivers.names.flatMap((name) => {
    const state = drivers.availability(name);
    return state.isAvailable ? [] : [`${name}: ${state.reason}`];
  });
  const isReady = drivers.availability(drivers.defaultName).isAvailable;
  return {
    type: "RuntimeReady",
    status: isReady,
    reason: isReady ? "" : "RuntimeHandlerNotAvailable",
    message: broken.join("; "),
  };
}

function networkReady({ isReady, reason }: SandboxNetworkCondition): RuntimeCondition {
  return {
    type: "NetworkReady",
    status: isReady,
    reason: isReady ? "" : "NetworkPluginNotReady",
    message: reason,
  };
}

async function networkCondition({ network }: Engine): Promise<SandboxNetworkCondition> {
  let condition: SandboxNetworkCondition = {
    isReady: false,
    reason: "The network does not answer.",
  };
  const asked = network.condition().then(
    (answer) => {
      condition = answer;
    },
    (error: unknown) => {
      condition = {
        isReady: false,
        reason: error instanceof Error ? error.message : String(error),
      };
    },
  );
  await within(asked, networkPatienceMs);
  return condition;
}

function toHandler({ drivers }: Engine, name: string): RuntimeHandler {
  const state = drivers.availability(name);
  const none = { recursiveReadOnlyMounts: false, userNamespaces: false };
  return { name, features: (state.isAvailable ? state.features : undefined) ?? none };
}

function info({ drivers, admission, registry }: Engine): Readonly<Record<string, string>> {
  return {
    drivers: JSON.stringify(
      Object.fromEntries(drivers.names.map((name) => [name, drivers.availability(name)])),
    ),
    admission: JSON.stringify(admission.usage(), (_key, value: unknown) =>
      value === Infinity ? "unlimited" : value,
    ),
    counts: JSON.stringify({
      sandboxes: registry.sandboxes.size,
      containers: registry.containers.size,
    }),
  };
}

/** What `crictl inspectp` shows beyond the status. */
export function podSandboxInfo(
  { records }: Engine,
  { id, record }: SandboxEntry,
): Readonly<Record<string, string>> {
  const { driver, network, config, subject } = record;
  return {
    info: JSON.stringify({
      driver,
      subject,
      network,
      directory: records.sandboxDirectory(id),
      config,
    }),
  };
}

/** What `crictl inspect` shows beyond the status; values of environment variables are left out, for they may be secret. */
export function containerInfo(
  { records }: Engine,
  { id, sandbox, record }: ContainerEntry,
): Readonly<Record<string, string>> {
  const { rootfs, driverMounts, isPaused, process } = record;
  const { argv, workingDir, user, tty, stdin } = process;
  return {
    info: JSON.stringify({
      sandboxID: sandbox.id,
      driver: sandbox.record.driver,
      isPaused,
      rootfs,
      mounts: driverMounts,
      directory: records.containerDirectory(sandbox.id, id),
      process: { argv, workingDir, user, tty, stdin },
    }),
  };
}
