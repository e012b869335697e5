import type { Abortable, PodSandboxConfig, PodSandboxNetworkStatus } from "@longshore/core";

export interface SandboxNetworkSpec {
  readonly sandboxId: string;
  readonly config: PodSandboxConfig;
}

/** The network of one sandbox, ready for use. */
export interface SandboxNetworkSetup {
  /**
   * Path of the network namespace, which belongs to the sandbox's user namespace when the configuration asks for one; absent
   * with the host's own, and when the driver makes one with loopback only
   */
  readonly namespacePath?: string | undefined;
  /** Absent with loopback only, and with the host's network */
  readonly status?: PodSandboxNetworkStatus | undefined;
  /** For `/etc/resolv.conf` when the configuration names none; absent: as on the host */
  readonly nameServers?: readonly string[] | undefined;
  /** Added to the environment of every container's processes, `KEY=value`; e.g. the address of a proxy */
  readonly env?: readonly string[] | undefined;
  /** Host files to show read-only in every container, e.g. a certificate; path inside → path on the host */
  readonly files?: Readonly<Record<string, string>> | undefined;
}

/** Whether sandboxes can have a network of a kind on this machine. */
export interface SandboxNetworkCondition {
  readonly isReady: boolean;
  /** What is missing and how to get it; empty when ready */
  readonly reason: string;
}

/**
 * Gives sandboxes their network. The engine writes a sandbox down before it asks for its network, so that whatever a crash
 * leaves can be found by the sandbox's id.
 */
export interface SandboxNetwork extends AsyncDisposable {
  condition(options?: Abortable): Promise<SandboxNetworkCondition>;
  /**
   * Makes the network that the configuration asks for. When it rejects or is aborted, nothing stays.
   *
   * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` for what cannot be had here; `STATE_CONFLICT` for a host port in use;
   *   `SANDBOX_CREATE_FAILED`
   */
  setUp(spec: SandboxNetworkSpec, options?: Abortable): Promise<SandboxNetworkSetup>;
  /** Gives back addresses, ports, rules and the namespace. Idempotent; unknown sandboxes are no error. */
  tearDown(sandboxId: string): Promise<void>;
  /**
   * Finds the networks of an earlier process again, and tears down those whose sandbox is not among the known ones. A known
   * sandbox whose network is broken is not in the answer.
   */
  recover(
    known: readonly SandboxNetworkSpec[],
    options?: Abortable,
  ): Promise<ReadonlyMap<string, SandboxNetworkSetup>>;
}
