import type { Duplex } from "node:stream";
import type { Abortable } from "../abortable.ts";
import type { AuthConfig } from "../image/image.ts";
import type { ImageClient, PullProgress } from "../image/image-client.ts";
import type { CommitContainerRequest } from "./container.ts";
import type { ExposedPort, ExposeOptions } from "./expose-port.ts";
import type { SandboxFileTree } from "./sandbox-file-tree.ts";
import type { RunOptions, SandboxProcess, SpawnOptions } from "./sandbox-process.ts";
import type { SandboxSpec } from "./sandbox-spec.ts";
import type { PodSandboxStats } from "./stats.ts";

/** A spec, and what is not JSON about opening it. The signal belongs to the opening alone. */
export interface SandboxOptions extends SandboxSpec, Abortable {
  /** Store to pull the image into; without it the image must be there already */
  readonly images?: ImageClient | undefined;
  readonly auth?: AuthConfig | undefined;
  readonly onProgress?: ((progress: SandboxProgress) => void) | undefined;
  /** Whether disposing only detaches, so that the sandbox stays. @default false, true with `ensureSandbox` */
  readonly keep?: boolean | undefined;
}

/** What the opening of a sandbox is about to do. */
export type SandboxProgress =
  | { readonly phase: "pull"; readonly pull: PullProgress }
  | { readonly phase: "sandbox" | "container" | "start" | "ready" };

/** How long the steps of the opening took, in milliseconds; 0 for a step that was not needed. */
export interface SandboxTimings {
  readonly pullMs: number;
  readonly sandboxMs: number;
  readonly containerMs: number;
  /** Until the holding process was seen to run */
  readonly startMs: number;
  readonly totalMs: number;
}

/** What `attachSandbox` finds a sandbox by, in another process too. */
export interface SandboxReference {
  readonly kind: "longshore.sandbox.v1";
  readonly id: string;
  readonly containerId: string;
}

export type CommitOptions = Omit<CommitContainerRequest, "containerId" | "reference"> & Abortable;

/**
 * A place of its own to run commands in. Commands may run at the same time.
 *
 * Once the sandbox is gone, its holding process has ended, or the handle is detached, commands reject with
 * `SANDBOX_INVALID_STATE` or `SANDBOX_NOT_FOUND`. What needs an ability that the runtime does not have rejects with
 * `RUNTIME_NOT_SUPPORTED`.
 *
 * **Its end.** `remove` ends it and `detach` leaves it, whoever made it. Disposing removes what the call made that gave
 * this handle, and detaches otherwise or with `keep`.
 */
export interface Sandbox extends AsyncDisposable {
  /** The runtime's id of the sandbox */
  readonly id: string;
  /** The runtime's id of the container in it */
  readonly containerId: string;
  readonly name: string;
  /** Whether the call that gave this handle made the sandbox, rather than found it */
  readonly isCreated: boolean;
  /** All 0 for a sandbox that was found */
  readonly timings: SandboxTimings;
  readonly files: SandboxFileTree;
  /**
   * Runs a command to its end and collects its output. What it leaves running in the background is killed; use `spawn` for
   * what is to stay.
   *
   * @param command program and arguments; no shell reads them
   */
  run(command: readonly string[], options?: RunOptions): SandboxProcess;
  /**
   * Starts a command and returns its handle at once. The command goes on until it ends, its handle is disposed or the
   * sandbox removed.
   *
   * @param command program and arguments; no shell reads them
   */
  spawn(command: readonly string[], options?: SpawnOptions): SandboxProcess;
  /** Connects to a TCP port inside. Rejects with `IO_ERROR` when nothing listens there. */
  connect(port: number, options?: Abortable): Promise<Duplex>;
  /** Listens on the host and passes each connection on to a TCP port inside. Ends with the handle at the latest. */
  expose(port: number, options?: ExposeOptions): Promise<ExposedPort>;
  stats(options?: Abortable): Promise<PodSandboxStats>;
  /** Freezes every process. Commands wait meanwhile. Idempotent. */
  pause(options?: Abortable): Promise<void>;
  /** Idempotent. */
  resume(options?: Abortable): Promise<void>;
  /**
   * Makes an image of the files as they are now, and resolves to its id.
   *
   * @param reference name and tag the image gets
   */
  commit(reference: string, options?: CommitOptions): Promise<string>;
  /** Kills everything and removes the sandbox with its files; waits until all is gone. Idempotent. */
  remove(): Promise<void>;
  /** Gives the handle up and leaves the sandbox, with its commands, as it is. Its time-outs end. Idempotent. */
  detach(): Promise<void>;
  /** For `attachSandbox`. Holds no secret. */
  toJSON(): SandboxReference;
}
