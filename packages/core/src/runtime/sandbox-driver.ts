import type { Duplex } from "node:stream";
import type { Abortable } from "../abortable.ts";
import type { Rootfs } from "../image/rootfs.ts";
import type { ContainerConfig, LinuxContainerUser } from "./container.ts";
import type {
  AttachRequest,
  AttachSession,
  InputWriter,
  ProcessExit,
  TerminalSize,
} from "./exec-session.ts";
import type { Nanoseconds } from "./nanoseconds.ts";
import type { PodSandboxConfig, PodSandboxNetworkStatus } from "./pod-sandbox.ts";
import type { LinuxContainerResources } from "./resources.ts";
import type { RuntimeHandler } from "./runtime-status.ts";
import type { SignalName } from "./signal-name.ts";
import type { SandboxFiles } from "./sandbox-files.ts";
import type { ContainerStats, PodSandboxStats } from "./stats.ts";

/**
 * What a driver can do beyond the contract, or how strongly it isolates.
 *
 * - `"vm"`: containers run on a kernel of their own
 * - `"updateResources"`: limits of a running container can be changed
 * - `"blockRootfs"`: takes a {@link Rootfs} of kind `block`; the other kinds every driver takes
 * - `"pause"`: containers can be frozen and go on later
 * - `"loopback"`: makes the network `"none"` of a sandbox itself, so that nobody else need make a namespace for it
 * - `"survivesRestart"`: containers go on running, and their logs are written, while this program is down
 */
export type DriverCapability =
  | "vm"
  | "updateResources"
  | "blockRootfs"
  | "pause"
  | "loopback"
  | "survivesRestart";

/** Whether a driver can work on this machine. */
export type DriverAvailability =
  | {
      readonly isAvailable: true;
      readonly version: string;
      /** What `status` says of it. @default neither */
      readonly features?: RuntimeHandler["features"] | undefined;
    }
  /** `reason` names what is missing, `fix` the way to get it */
  | { readonly isAvailable: false; readonly reason: string; readonly fix?: string | undefined };

/**
 * The few things that differ between kinds of sandboxes; a runtime engine does all the rest once: ids, states, lists,
 * logs, events, images. A sandbox asks for its driver by name (the CRI's `runtimeHandler`).
 *
 * The engine calls one sandbox's methods one after the other, except `exec`, `signal` and the readings, which may overlap
 * with each other. Different sandboxes overlap freely. A driver keeps nothing that it could not find again by
 * {@link SandboxDriver.recover}: what must outlive the process lies in the sandbox's directory.
 */
export interface SandboxDriver extends AsyncDisposable {
  /** The handler it answers to, e.g. `"runc"` or `"kata"` */
  readonly name: string;
  readonly capabilities: ReadonlySet<DriverCapability>;
  /** Looks for binaries, devices and kernel features. Never rejects for a lack of them. */
  probe(options?: Abortable): Promise<DriverAvailability>;
  /**
   * Makes a sandbox: namespaces and cgroup, or a VM. When it rejects or is aborted, nothing stays.
   *
   * @throws {LongshoreError} `SANDBOX_CREATE_FAILED`, `VM_START_FAILED`, `VIRTIOFS_FAILED`, `RUNTIME_NOT_SUPPORTED` for
   *   a setting that it cannot honour
   */
  prepare(spec: DriverSandboxSpec, options?: Abortable): Promise<DriverSandbox>;
  /**
   * Takes over what an earlier process left, given every sandbox the engine still knows; whatever else of this driver's is
   * on the machine is torn down. A sandbox that died meanwhile is not in the answer. What goes wrong with
   * one that nobody knows is told to `onProblem`, and keeps nobody from theirs.
   */
  recover(
    known: readonly DriverSandboxSpec[],
    options?: DriverRecoverOptions,
  ): Promise<ReadonlyMap<string, RecoveredSandbox>>;
}

export interface DriverRecoverOptions extends Abortable {
  readonly onProblem?: ((problem: DriverRecoverProblem) => void) | undefined;
}

/** What went wrong with a sandbox that nobody knows any more. */
export interface DriverRecoverProblem {
  readonly sandboxId: string;
  /** What had to be done by force, or what failed */
  readonly message: string;
  /** Why it failed, and is still there; absent when it is gone */
  readonly error?: unknown;
}

export interface DriverSandboxSpec {
  readonly id: string;
  /** Exists, belongs to the driver, is removed by the engine after teardown */
  readonly directory: string;
  readonly config: PodSandboxConfig;
  /**
   * Path of a network namespace that is set up; absent with the host's network, and with the network `"none"` for a driver
   * that makes one itself. With a user namespace in the configuration it
   * belongs to one with those mappings, which is the sandbox's then
   */
  readonly networkNamespace?: string | undefined;
  /** Addresses in that namespace, for the containers' `/etc/hosts`; absent when it has only loopback */
  readonly network?: PodSandboxNetworkStatus | undefined;
  /** Name servers for the containers' `/etc/resolv.conf` when `config.dnsConfig` names none; absent: as on the host */
  readonly nameServers?: readonly string[] | undefined;
}

/** A sandbox that is up. */
export interface DriverSandbox {
  /** Resolves when the sandbox is down, asked for or not */
  readonly ended: Promise<void>;
  /**
   * Refuses what `start` would refuse for reasons that can be known before: settings that cannot be honoured, users and
   * host paths that do not exist. Changes nothing.
   *
   * @throws {LongshoreError} `VALIDATION_ERROR`, `RUNTIME_NOT_SUPPORTED`
   */
  check(spec: DriverContainerSpec, options?: Abortable): Promise<void>;
  /** Makes a container and starts its process. When it rejects, nothing of the container stays. */
  start(spec: DriverContainerSpec, options?: Abortable): Promise<DriverContainer>;
  /** Connects to a TCP port on the sandbox's loopback interface; `IO_ERROR` when nothing listens there. */
  connect(port: number, options?: Abortable): Promise<Duplex>;
  stats(options?: Abortable): Promise<PodSandboxStats["linux"]>;
  /**
   * Kills all that runs and gives everything back: processes, mounts, cgroups, the VM. Resolves when it is gone. Idempotent,
   * and no error for what is gone already.
   */
  teardown(): Promise<void>;
}

export interface DriverContainerSpec {
  readonly id: string;
  /** Exists, belongs to the driver, is removed by the engine afterwards */
  readonly directory: string;
  readonly config: ContainerConfig;
  readonly rootfs: Rootfs;
  /** Image and configuration already put together */
  readonly process: ProcessSpec;
  /** Where the process's output is written; absent: nowhere */
  readonly log?: ContainerLog | undefined;
  /** Sessions that must see the process from its first byte on, in `DriverContainer.sessions` afterwards. @default none */
  readonly attach?: readonly Omit<AttachRequest, "containerId">[] | undefined;
}

/** A log file in the CRI's format: per line a time, the stream, `P` (part) or `F` (full), and the text. */
export interface ContainerLog {
  /** Absolute; its directory exists */
  readonly path: string;
  /** Size at which the driver begins a new file and keeps the old one as `<path>.1`, … @default no limit */
  readonly maxBytes?: number | undefined;
  /** Files of the log all together, the present one and old ones; with 1 the old one goes. From 1 on. @default 2 */
  readonly maxFiles?: number | undefined;
}

/** A process to start: nothing in it is looked up again, except the user's name. */
export interface ProcessSpec {
  /** Program and arguments */
  readonly argv: readonly string[];
  /** `KEY=value`, each key once */
  readonly env: readonly (string | Uint8Array)[];
  readonly workingDir: string;
  /** As in an image: `uid`, `user`, `uid:gid` or `user:group`. @default "0" */
  readonly user?: string | undefined;
  readonly tty: boolean;
  readonly terminalSize?: TerminalSize | undefined;
  /** Whether the process gets an input */
  readonly stdin: boolean;
}

/** How a process ended, as the kernel tells it. */
export interface DriverExit extends ProcessExit {
  /** Whether the kernel killed a process of the container for want of memory */
  readonly isOomKilled: boolean;
  readonly finishedAt: Nanoseconds;
}

/** A command that runs in a container. */
export interface DriverProcess {
  readonly stdin: InputWriter;
  /** As in `StreamSession`: read once, nothing dropped, the process waits for a slow reader */
  readonly stdout: AsyncIterable<Uint8Array>;
  readonly stderr: AsyncIterable<Uint8Array>;
  /** Resolves when the process is gone; rejects only when its end cannot be learned */
  readonly exit: Promise<DriverExit>;
  resize(size: TerminalSize): Promise<void>;
  /** To the process alone. No error when it has ended. */
  signal(signal: SignalName): Promise<void>;
  /** Kills the process with everything that it started, and waits until they are gone. Idempotent. */
  kill(): Promise<void>;
}

/** A container that was started, or was found again after a restart. */
export interface DriverContainer {
  /** Identity of the first process */
  readonly user?: LinuxContainerUser | undefined;
  /** Those asked for by `DriverContainerSpec.attach`, in its order; empty after a restart */
  readonly sessions: readonly AttachSession[];
  /**
   * Resolves when the first process is gone, also when that was before a restart; rejects with `RUNTIME_UNAVAILABLE` when its
   * end cannot be learned
   */
  readonly exit: Promise<DriverExit>;
  /** To the first process alone; `"SIGKILL"` ends every process in the container. No error when it has ended. */
  signal(signal: SignalName): Promise<void>;
  /** Joins the first process; as many as come see its output. Its log is written whatever they do. */
  attach(request: Omit<AttachRequest, "containerId">, options?: Abortable): Promise<AttachSession>;
  exec(process: ProcessSpec, options?: Abortable): Promise<DriverProcess>;
  /** Opens the log file anew, after somebody renamed it. When it rejects, no new file is there. */
  reopenLog(options?: Abortable): Promise<void>;
  /** The files as the container's processes see them; absent when the driver needs tools in the image */
  readonly files?: SandboxFiles | undefined;
  /** Present with `"updateResources"`: all changes are made, or none */
  updateResources?(resources: LinuxContainerResources, options?: Abortable): Promise<void>;
  /** Present with `"pause"`: no process of the container runs until `resume`. Idempotent. */
  pause?(options?: Abortable): Promise<void>;
  resume?(options?: Abortable): Promise<void>;
  stats(options?: Abortable): Promise<Omit<ContainerStats, "attributes">>;
  /** Kills what still runs, unmounts, and removes the container from the sandbox. Idempotent. */
  remove(): Promise<void>;
}

/** What `recover` found of one sandbox. */
export interface RecoveredSandbox {
  readonly sandbox: DriverSandbox;
  /** By container id: all that the sandbox still holds, running or ended */
  readonly containers: ReadonlyMap<string, DriverContainer>;
}
