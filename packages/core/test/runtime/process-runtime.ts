import { randomBytes } from "node:crypto";
import { EventEmitter, on, once } from "node:events";
import { cp, mkdir, rm } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  LongshoreError,
  nanosecondsFromMs,
  type ContainerConfig,
  type ContainerEvent,
  type ContainerState,
  type ContainerStatus,
  type KeyValue,
  type PodSandbox,
  type PodSandboxConfig,
  type RuntimeClient,
} from "@longshore/core";
import { runCommand } from "../../src/runtime/run-command.ts";
import { attachHub, type AttachHub } from "./attach-hub.ts";
import type { DirectoryImages } from "./directory-images.ts";
import { startHostProcess, type HostProcess } from "./host-process.ts";

export interface ProcessRuntimeOptions {
  /** Exists, empty; the runtime's own */
  readonly directory: string;
  readonly images: DirectoryImages;
}

interface PodRecord {
  readonly pod: PodSandbox;
  readonly config: PodSandboxConfig;
  isReady: boolean;
}

interface ContainerRecord {
  readonly id: string;
  readonly podSandboxId: string;
  readonly config: ContainerConfig;
  readonly imageId: string;
  readonly rootfs: string;
  readonly createdAtMs: number;
  readonly sessions: Set<HostProcess>;
  readonly hub: AttachHub;
  isStarting: boolean;
  isRemoved: boolean;
  state: ContainerState;
  main?: HostProcess;
  startedAtMs?: number;
  finishedAtMs?: number;
  exitCode?: number;
  reason?: string;
}

/**
 * A runtime whose containers are directories and whose processes are the host's: it isolates nothing, and is for tests
 * only. A process starts in its container's directory, which is a copy of the image.
 */
export function processRuntime({ directory, images }: ProcessRuntimeOptions): RuntimeClient {
  const pods = new Map<string, PodRecord>();
  const containers = new Map<string, ContainerRecord>();
  const names = new Set<string>();
  const events = new EventEmitter().setMaxListeners(0);
  const tell = (
    containerId: string,
    containerEventType: ContainerEvent["containerEventType"],
  ): void => {
    const createdAt = nanosecondsFromMs(Date.now());
    events.emit("event", { containerId, containerEventType, createdAt, containersStatuses: [] });
  };

  const getPod = (id: string): PodRecord => {
    const pod = pods.get(checkId(id));
    if (pod !== undefined) return pod;
    throw new LongshoreError("SANDBOX_NOT_FOUND", `There is no sandbox ${id}.`);
  };
  const getContainer = (id: string): ContainerRecord => {
    const container = containers.get(checkId(id));
    if (container !== undefined) return container;
    throw new LongshoreError("NOT_FOUND", `There is no container ${id}.`);
  };
  const ofPod = (id: string) => [...containers.values()].filter((c) => c.podSandboxId === id);

  const stop = async (container: ContainerRecord, timeoutSeconds: number): Promise<void> => {
    const { main, config, sessions } = container;
    if (main !== undefined && container.state === "running") {
      const done = new AbortController();
      await main.kill(config.stopSignal ?? "SIGTERM");
      const patience = sleep(timeoutSeconds * 1_000, undefined, { signal: done.signal });
      await Promise.race([main.exit, patience]);
      done.abort();
      await patience.catch(() => undefined);
    }
    const all = [...sessions, ...(main === undefined ? [] : [main])];
    await Promise.all(all.map((session) => session[Symbol.asyncDispose]()));
  };
  const remove = async (container: ContainerRecord): Promise<void> => {
    container.isRemoved = true;
    await stop(container, 0);
    container.hub.close();
    await rm(join(directory, container.id), { recursive: true, force: true });
    containers.delete(container.id);
    names.delete(`${container.podSandboxId}/${nameOf(container.config)}`);
    tell(container.id, "deleted");
  };
  const start = (container: ContainerRecord, argv: readonly string[], extra: Extra) =>
    startHostProcess({
      argv,
      cwd: onHost(container, extra.workingDir ?? container.config.workingDir ?? container.rootfs),
      env: {
        PATH: process.env["PATH"],
        HOME: container.rootfs,
        ...Object.fromEntries(
          Object.entries(toEnv(container.config.envs)).map(([key, value]) => [
            key,
            onHost(container, value),
          ]),
        ),
        ...toEnv(extra.envs),
      },
      stdin: extra.stdin ?? false,
      stdout: extra.stdout ?? true,
      stderr: extra.stderr ?? true,
    });

  const runtime: RuntimeClient = {
    async version() {
      return {
        version: "0.1.0",
        runtimeName: "process",
        runtimeVersion: "1.0.0",
        runtimeApiVersion: "v1",
      };
    },
    async status() {
      const conditions = ["RuntimeReady", "NetworkReady"].map((type) => ({ type, status: true }));
      const features = { recursiveReadOnlyMounts: false, userNamespaces: false };
      return { conditions, runtimeHandlers: [{ name: "", features }] };
    },

    async runPodSandbox({ config, runtimeHandler = "" }, { signal } = {}) {
      signal?.throwIfAborted();
      if (runtimeHandler !== "") {
        throw new LongshoreError("RUNTIME_NOT_SUPPORTED", `No handler is "${runtimeHandler}".`);
      }
      const key = JSON.stringify(config.metadata);
      if ([...pods.values()].some(({ pod }) => JSON.stringify(pod.metadata) === key)) {
        throw new LongshoreError("STATE_CONFLICT", "The sandbox's metadata is in use.");
      }
      const id = randomBytes(16).toString("hex");
      const pod: PodSandbox = {
        id,
        metadata: config.metadata,
        state: "ready",
        createdAt: nanosecondsFromMs(Date.now()),
        labels: config.labels ?? {},
        annotations: config.annotations ?? {},
        runtimeHandler,
      };
      pods.set(id, { pod, config, isReady: true });
      tell(id, "started");
      return id;
    },
    async stopPodSandbox({ podSandboxId }) {
      const pod = pods.get(checkId(podSandboxId));
      if (pod === undefined) return;
      await Promise.all(ofPod(podSandboxId).map((container) => stop(container, 0)));
      pod.isReady = false;
    },
    async removePodSandbox({ podSandboxId }) {
      await runtime.stopPodSandbox({ podSandboxId });
      await Promise.all(ofPod(podSandboxId).map(remove));
      if (pods.delete(podSandboxId)) tell(podSandboxId, "deleted");
    },
    async podSandboxStatus({ podSandboxId }) {
      const record = getPod(podSandboxId);
      const namespaces = record.config.linux?.securityContext?.namespaceOptions ?? {};
      return { status: { ...shown(record), linux: { namespaces } } };
    },
    async listPodSandbox(filter = {}) {
      return [...pods.values()].map(shown).filter((pod) => isWanted(pod, filter));
    },

    async createContainer({ podSandboxId, config }, { signal } = {}) {
      signal?.throwIfAborted();
      if (!getPod(podSandboxId).isReady) {
        throw new LongshoreError("SANDBOX_INVALID_STATE", "The sandbox is not ready.");
      }
      const image = images.locate(config.image.image);
      if (image === undefined) {
        const message = `Image "${config.image.image}" is not in the store; pull it first.`;
        throw new LongshoreError("IMAGE_NOT_FOUND", message);
      }
      const name = nameOf(config);
      if (names.has(`${podSandboxId}/${name}`)) {
        throw new LongshoreError("STATE_CONFLICT", `The container's name ${name} is in use.`);
      }
      names.add(`${podSandboxId}/${name}`);
      const id = randomBytes(16).toString("hex");
      const rootfs = join(directory, id, "rootfs");
      await mkdir(join(directory, id));
      await cp(image.path, rootfs, { recursive: true });
      containers.set(id, {
        id,
        podSandboxId,
        config,
        imageId: image.id,
        rootfs,
        createdAtMs: Date.now(),
        sessions: new Set(),
        hub: attachHub(config.stdinOnce ?? false),
        isStarting: false,
        isRemoved: false,
        state: "created",
      });
      return id;
    },
    async startContainer({ containerId }, { signal } = {}) {
      const container = getContainer(containerId);
      if (container.state !== "created" || container.isStarting) {
        throw new LongshoreError("SANDBOX_INVALID_STATE", `The container is ${container.state}.`);
      }
      if (!getPod(container.podSandboxId).isReady) {
        throw new LongshoreError("SANDBOX_INVALID_STATE", "The sandbox is not ready.");
      }
      signal?.throwIfAborted();
      container.isStarting = true;
      const argv = [...(container.config.command ?? []), ...(container.config.args ?? [])];
      try {
        const main = await start(container, argv, { stdin: container.config.stdin });
        if (container.isRemoved) {
          await main[Symbol.asyncDispose]();
          throw new LongshoreError("NOT_FOUND", "The container was removed while it started.");
        }
        container.hub.connect(main);
        Object.assign(container, { main, state: "running", startedAtMs: Date.now() });
        tell(containerId, "started");
        void main.exit.then(({ exitCode }) => {
          Object.assign(container, {
            state: "exited",
            exitCode,
            reason: exitCode === 0 ? "Completed" : "Error",
            finishedAtMs: Date.now(),
          });
          tell(containerId, "stopped");
        });
      } catch (error) {
        Object.assign(container, { state: "exited", exitCode: 128, reason: "StartError" });
        throw error;
      }
    },
    async stopContainer({ containerId, timeout = 0 }) {
      const container = containers.get(checkId(containerId));
      if (container !== undefined) await stop(container, timeout);
    },
    async removeContainer({ containerId }) {
      const container = containers.get(checkId(containerId));
      if (container !== undefined) await remove(container);
    },
    async containerStatus({ containerId }) {
      return { status: toStatus(getContainer(containerId)) };
    },
    async listContainers(filter = {}) {
      return [...containers.values()]
        .map((container) =>
          Object.assign(toStatus(container), { podSandboxId: container.podSandboxId }),
        )
        .filter((container) => isWanted(container, filter))
        .filter((container) => isAny(filter.podSandboxId, container.podSandboxId));
    },

    async exec(request, { signal } = {}) {
      const container = getContainer(request.containerId);
      if (container.state !== "running") {
        throw new LongshoreError("SANDBOX_INVALID_STATE", `The container is ${container.state}.`);
      }
      if (request.cmd.length === 0) {
        throw new LongshoreError("VALIDATION_ERROR", "A command names a program.");
      }
      if (request.tty === true) {
        throw new LongshoreError("RUNTIME_NOT_SUPPORTED", "There are no terminals here.");
      }
      signal?.throwIfAborted();
      const session = await start(container, request.cmd, request);
      container.sessions.add(session);
      void session.exit.then(() => session.isAlive() || container.sessions.delete(session));
      if (signal?.aborted !== true) return session;
      await session[Symbol.asyncDispose]();
      throw signal.reason;
    },
    async attach(request, { signal } = {}) {
      const container = getContainer(request.containerId);
      if (container.state === "exited") {
        throw new LongshoreError("SANDBOX_INVALID_STATE", "The container has exited.");
      }
      const { stdin = false, stdout = true, stderr = true } = request;
      if (!stdin && !stdout && !stderr) {
        throw new LongshoreError("VALIDATION_ERROR", "A session has at least one stream.");
      }
      if (stdin && container.config.stdin !== true) {
        throw new LongshoreError("VALIDATION_ERROR", "The container has no input.");
      }
      signal?.throwIfAborted();
      return container.hub.attach(request);
    },
    async pauseContainer({ containerId }) {
      signalAll(getContainer(containerId), "SIGSTOP");
    },
    async resumeContainer({ containerId }) {
      signalAll(getContainer(containerId), "SIGCONT");
    },
    async portForward({ podSandboxId, port }, { signal } = {}) {
      getPod(podSandboxId);
      signal?.throwIfAborted();
      const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
      try {
        await once(socket, "connect", { signal });
        return socket;
      } catch (error) {
        socket.destroy();
        signal?.throwIfAborted();
        throw new LongshoreError("IO_ERROR", `Nothing listens on ${port}.`, { cause: error });
      }
    },
    async podSandboxStats({ podSandboxId }) {
      const { id, metadata, labels, annotations } = getPod(podSandboxId).pod;
      const processCount = ofPod(podSandboxId).reduce((sum, one) => sum + one.sessions.size + 1, 0);
      const process = { timestamp: nanosecondsFromMs(Date.now()), processCount };
      return {
        attributes: { id, metadata, labels, annotations },
        linux: { process, containers: [] },
      };
    },
    async *getContainerEvents({ signal } = {}) {
      try {
        const all = on(events, "event", signal === undefined ? {} : { signal });
        for await (const [event] of all) yield event as ContainerEvent;
      } catch (error) {
        if (signal?.aborted !== true) throw error;
      }
    },
    async execSync({ containerId, cmd, timeout = 0 }, { signal } = {}) {
      const finished = await runCommand(
        runtime,
        { containerId, cmd },
        { timeoutMs: timeout === 0 ? undefined : timeout * 1_000, maxOutputBytes: 2 ** 24, signal },
      );
      const { exit, stdout, stderr } = finished;
      return { exitCode: exit.exitCode, stdout: stdout.bytes(), stderr: stderr.bytes() };
    },

    async [Symbol.asyncDispose]() {
      await Promise.all(
        [...pods.keys()].map((id) => runtime.removePodSandbox({ podSandboxId: id })),
      );
    },
  };
  return runtime;
}

function signalAll({ main, sessions }: ContainerRecord, signal: NodeJS.Signals): void {
  for (const one of [...sessions, ...(main === undefined ? [] : [main])]) {
    try {
      process.kill(-one.pid, signal);
    } catch {
      // it has ended meanwhile
    }
  }
}

interface Extra {
  readonly workingDir?: string | undefined;
  readonly envs?: readonly KeyValue[] | undefined;
  readonly stdin?: boolean | undefined;
  readonly stdout?: boolean | undefined;
  readonly stderr?: boolean | undefined;
}

function checkId(id: string): string {
  if (id === "") throw new LongshoreError("VALIDATION_ERROR", "An id is never empty.");
  return id;
}

/** A mount is shown where it is on the host: paths in the environment, and the directory, begin there. */
function onHost({ config }: ContainerRecord, path: string): string {
  for (const { containerPath, hostPath } of config.mounts ?? []) {
    if (path === containerPath || path.startsWith(`${containerPath}/`)) {
      return hostPath + path.slice(containerPath.length);
    }
  }
  return path;
}

function nameOf({ metadata }: ContainerConfig): string {
  return `${metadata.name}/${metadata.attempt ?? 0}`;
}

function shown({ pod, isReady }: PodRecord): PodSandbox {
  return { ...pod, state: isReady ? "ready" : "notready" };
}

function isAny(wanted: string | undefined, value: string): boolean {
  return (wanted ?? "") === "" || wanted === value;
}

function isWanted(
  item: { id: string; state: string; labels: Readonly<Record<string, string>> },
  filter: {
    id?: string | undefined;
    state?: string | undefined;
    labelSelector?: object | undefined;
  },
): boolean {
  const labels = Object.entries(filter.labelSelector ?? {});
  return (
    isAny(filter.id, item.id) &&
    isAny(filter.state, item.state) &&
    labels.every(([key, value]) => item.labels[key] === value)
  );
}

function toEnv(envs: readonly KeyValue[] = []): Record<string, string> {
  return Object.fromEntries(envs.map(({ key, value }) => [key, Buffer.from(value).toString()]));
}

function toStatus(container: ContainerRecord): ContainerStatus {
  const { id, config, imageId, state, createdAtMs, startedAtMs = 0, finishedAtMs = 0 } = container;
  return {
    id,
    metadata: config.metadata,
    state,
    createdAt: nanosecondsFromMs(createdAtMs),
    startedAt: nanosecondsFromMs(startedAtMs),
    finishedAt: nanosecondsFromMs(finishedAtMs),
    exitCode: container.exitCode ?? 0,
    reason: container.reason,
    image: config.image,
    imageRef: imageId,
    imageId,
    labels: config.labels ?? {},
    annotations: config.annotations ?? {},
    mounts: config.mounts ?? [],
    resources: { linux: config.linux?.resources },
    stopSignal: config.stopSignal,
  };
}
