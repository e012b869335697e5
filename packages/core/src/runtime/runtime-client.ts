import type { Duplex } from "node:stream";
import type { Abortable } from "../abortable.ts";
import type { ContainerEvent } from "./container-event.ts";
import type {
  CheckpointContainerRequest,
  CommitContainerRequest,
  Container,
  ContainerFilter,
  ContainerRef,
  ContainerStatus,
  ContainerStatusRequest,
  ContainerStatusResponse,
  CreateContainerRequest,
  SignalContainerRequest,
  StopContainerRequest,
  UpdateContainerResourcesRequest,
} from "./container.ts";
import type {
  AttachRequest,
  AttachSession,
  ExecRequest,
  ExecSession,
  ExecSyncRequest,
  ExecSyncResponse,
} from "./exec-session.ts";
import type { MetricDescriptor, PodSandboxMetrics } from "./metrics.ts";
import type {
  PodSandbox,
  PodSandboxFilter,
  PodSandboxRef,
  PodSandboxStatusRequest,
  PodSandboxStatusResponse,
  RunPodSandboxRequest,
  UpdatePodSandboxResourcesRequest,
} from "./pod-sandbox.ts";
import type {
  RuntimeConfig,
  RuntimeConfigResponse,
  RuntimeVersion,
  StatusRequest,
  StatusResponse,
} from "./runtime-status.ts";
import type { SandboxFiles } from "./sandbox-files.ts";
import type {
  ContainerStats,
  ContainerStatsFilter,
  PodSandboxStats,
  PodSandboxStatsFilter,
} from "./stats.ts";

export interface PortForwardRequest extends PodSandboxRef {
  /** TCP port on the sandbox's loopback interface */
  readonly port: number;
}

/**
 * Runs sandboxes and the containers in them: the RuntimeService of the Kubernetes CRI v1, its names in camelCase.
 *
 * What differs from the CRI on the wire: streams are values of this program instead of URLs ({@link ExecSession}); the
 * streaming forms of the lists are left out, because a list is a value here; messages without fields are `void`, and
 * those with one list are that list; Windows is left out; nanoseconds are `bigint` and all else `number`.
 *
 * **Ids** are opaque, never empty, and may be shortened to a prefix that fits only one; an exact id wins.
 *
 * **Retries.** `stopPodSandbox`, `removePodSandbox`, `stopContainer` and `removeContainer` succeed for an id that is
 * unknown or gone, however often they are called. Metadata is reserved from the start of `runPodSandbox` or
 * `createContainer` until removal; when a call fails or is aborted, nothing of it stays and the metadata is free again.
 *
 * **At the same time.** Any calls may overlap. Those that change one container wait for each other; lists and statuses
 * wait for nobody and answer from memory.
 *
 * **Abort** ends the wait, with the signal's reason, and undoes what was half made. A stop or removal that has begun
 * goes on to its end.
 *
 * **Errors.** Every call may reject with `RUNTIME_UNAVAILABLE`. Beyond that:
 *
 * | code | CRI status | when |
 * | --- | --- | --- |
 * | `SANDBOX_NOT_FOUND`, `NOT_FOUND` | NOT_FOUND | no such sandbox; no such container |
 * | `IMAGE_NOT_FOUND` | NOT_FOUND | the image of a new container is not in the store |
 * | `VALIDATION_ERROR` | INVALID_ARGUMENT | an empty id, an ambiguous prefix, fields that contradict each other |
 * | `STATE_CONFLICT` | ALREADY_EXISTS | metadata that is in use |
 * | `SANDBOX_INVALID_STATE` | FAILED_PRECONDITION | a call the state does not allow, e.g. `exec` before the start |
 * | `RUNTIME_NOT_SUPPORTED` | INVALID_ARGUMENT, UNIMPLEMENTED | an unknown handler, or a setting it cannot honour |
 * | `TIMEOUT` | DEADLINE_EXCEEDED | `execSync` past its time-out |
 * | `POOL_EXHAUSTED` | RESOURCE_EXHAUSTED | no room for another sandbox |
 * | `SANDBOX_CREATE_FAILED`, `EXECUTION_ERROR` | UNKNOWN | the sandbox, or a process, could not be started |
 *
 * A setting that isolates or limits is honoured or refused, never ignored.
 *
 * Methods marked `?` are abilities that not every runtime has: look before you call.
 */
export interface RuntimeClient extends AsyncDisposable {
  version(options?: Abortable): Promise<RuntimeVersion>;
  status(request?: StatusRequest, options?: Abortable): Promise<StatusResponse>;

  /** Makes and starts a sandbox; it is `ready` on return. Resolves to its id. */
  runPodSandbox(request: RunPodSandboxRequest, options?: Abortable): Promise<string>;
  /** Ends every process in the sandbox and gives its network back; it is `notready` on return. */
  stopPodSandbox(request: PodSandboxRef, options?: Abortable): Promise<void>;
  /** Stops the sandbox when needed, and removes it with all its containers. */
  removePodSandbox(request: PodSandboxRef, options?: Abortable): Promise<void>;
  podSandboxStatus(
    request: PodSandboxStatusRequest,
    options?: Abortable,
  ): Promise<PodSandboxStatusResponse>;
  /** In no promised order. */
  listPodSandbox(filter?: PodSandboxFilter, options?: Abortable): Promise<readonly PodSandbox[]>;
  /** Says that the limits of the pod as a whole have changed. */
  updatePodSandboxResources?(
    request: UpdatePodSandboxResourcesRequest,
    options?: Abortable,
  ): Promise<void>;

  /** Makes a container, without starting it, from an image that is in the store. Resolves to its id. */
  createContainer(request: CreateContainerRequest, options?: Abortable): Promise<string>;
  /** Starts a `created` container. When it cannot be started it is `exited`, with code 128 and reason `StartError`. */
  startContainer(request: ContainerRef, options?: Abortable): Promise<void>;
  /** Sends the stop signal, waits, then kills. A container that has not started stays `created`. */
  stopContainer(request: StopContainerRequest, options?: Abortable): Promise<void>;
  /**
   * Sends a signal to the first process of a running container, and to it alone. No error when the process has ended. Ours,
   * not the CRI's.
   */
  signalContainer?(request: SignalContainerRequest, options?: Abortable): Promise<void>;
  /**
   * Resolves once the container has `exited`, at once when it has already. Rejects with `NOT_FOUND` when it is removed before
   * it was started. Ours, not the CRI's.
   */
  waitContainer?(request: ContainerRef, options?: Abortable): Promise<ContainerStatus>;
  /** Removes a container; kills it first when it runs. */
  removeContainer(request: ContainerRef, options?: Abortable): Promise<void>;
  containerStatus(
    request: ContainerStatusRequest,
    options?: Abortable,
  ): Promise<ContainerStatusResponse>;
  /** In all states, in no promised order. */
  listContainers(filter?: ContainerFilter, options?: Abortable): Promise<readonly Container[]>;
  /** Changes limits of a container that is created or running: all of them, or none. */
  updateContainerResources?(
    request: UpdateContainerResourcesRequest,
    options?: Abortable,
  ): Promise<void>;
  /** Opens a new log file after the old one was renamed. When it fails, no new file is there. */
  reopenContainerLog?(request: ContainerRef, options?: Abortable): Promise<void>;
  /** Writes an archive from which the container can be restored. */
  checkpointContainer?(request: CheckpointContainerRequest, options?: Abortable): Promise<void>;
  /** Freezes every process of a running container, which stays `running`. Idempotent. Ours, not the CRI's. */
  pauseContainer?(request: ContainerRef, options?: Abortable): Promise<void>;
  /** Lets the processes of a paused container go on. Idempotent. Ours, not the CRI's. */
  resumeContainer?(request: ContainerRef, options?: Abortable): Promise<void>;
  /**
   * Makes an image of a container's files as they are now, and resolves to its id. A container that runs is paused
   * meanwhile. Ours, not the CRI's.
   */
  commitContainer?(request: CommitContainerRequest, options?: Abortable): Promise<string>;

  /**
   * Runs a command to its end and resolves to its output. A non-zero exit is an answer, not an error. After a time-out
   * or an abort neither the command nor a child of it is left.
   */
  execSync(request: ExecSyncRequest, options?: Abortable): Promise<ExecSyncResponse>;
  /**
   * Starts a command and resolves once it runs. The signal belongs to the start alone: a session is ended by its own
   * `kill` or disposal.
   */
  exec(request: ExecRequest, options?: Abortable): Promise<ExecSession>;
  /**
   * Joins the first process of a running container; output from before is not repeated. The session of a container that
   * is `created` sees its process from the first byte on; its streams end when the container is removed unstarted.
   */
  attach?(request: AttachRequest, options?: Abortable): Promise<AttachSession>;
  /** Connects to a port inside the sandbox. Rejects with `IO_ERROR` when nothing listens there. */
  portForward?(request: PortForwardRequest, options?: Abortable): Promise<Duplex>;
  /** The files of a running container, for runtimes with a way to them that needs no tools in the image. */
  files?(request: ContainerRef): SandboxFiles;

  containerStats?(request: ContainerRef, options?: Abortable): Promise<ContainerStats>;
  listContainerStats?(
    filter?: ContainerStatsFilter,
    options?: Abortable,
  ): Promise<readonly ContainerStats[]>;
  podSandboxStats?(request: PodSandboxRef, options?: Abortable): Promise<PodSandboxStats>;
  listPodSandboxStats?(
    filter?: PodSandboxStatsFilter,
    options?: Abortable,
  ): Promise<readonly PodSandboxStats[]>;
  listMetricDescriptors?(options?: Abortable): Promise<readonly MetricDescriptor[]>;
  listPodSandboxMetrics?(options?: Abortable): Promise<readonly PodSandboxMetrics[]>;

  /**
   * What happens from now on, without history. Ends when `signal` aborts or the client is disposed. A reader that falls
   * more than 1,000 events behind gets `LIMIT_EXCEEDED`, and should list and begin again.
   */
  getContainerEvents?(options?: Abortable): AsyncIterable<ContainerEvent>;
  runtimeConfig?(options?: Abortable): Promise<RuntimeConfigResponse>;
  /** A runtime whose network is configured elsewhere accepts and ignores it. */
  updateRuntimeConfig?(config: RuntimeConfig, options?: Abortable): Promise<void>;
}
