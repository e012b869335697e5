/**
 * What a sandbox is to be like, as plain JSON: the same object, with names in snake_case, as in a job document's
 * `runtime.sandbox`. See `decodeSandboxSpec` and `sandboxJsonSchema`.
 *
 * It is trusted: `mounts` and `ports` reach the host. Whoever takes specs from others must look at those first.
 */
export interface SandboxSpec {
  /** Image whose files the sandbox has */
  readonly image: string;
  /** @default "missing" */
  readonly pull?: "always" | "missing" | "never" | undefined;
  /** Host name of the sandbox, and the name it is found by. @default "sandbox" */
  readonly name?: string | undefined;
  /** Kind of sandbox, e.g. `"runc"` or `"kata"`. @default "" (the runtime's default) */
  readonly runtimeHandler?: string | undefined;
  /** MiB. @default no limit */
  readonly memoryMb?: number | undefined;
  /** Processors, fractions allowed. @default no limit */
  readonly cpus?: number | undefined;
  /** Processes at one time. @default no limit */
  readonly pids?: number | undefined;
  /**
   * Nothing but loopback, or what the runtime gives to pods: all that it reaches, unless `egress` narrows it.
   *
   * @default "bridge" with `egress` or `ports`, else "none"
   */
  readonly network?: "none" | "bridge" | undefined;
  /** What the sandbox may reach. @default nothing; but with `network: "bridge"` whatever that reaches */
  readonly egress?: SandboxEgress | undefined;
  /** Ports of the sandbox on ports of the host */
  readonly ports?: readonly SandboxPort[] | undefined;
  /** Host directories or files to show inside */
  readonly mounts?: readonly SandboxMount[] | undefined;
  /** Whether the image's files are read-only. @default false */
  readonly readonlyRootfs?: boolean | undefined;
  /** Environment of every command, added to the image's */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Working directory of every command. @default the image's */
  readonly cwd?: string | undefined;
  /** `uid` or `uid:gid`, or a user name of the image. @default the image's */
  readonly user?: string | undefined;
  /** Shown in lists; names that begin with `longshore.io/` are the facade's own */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Process that holds the sandbox open. It must not end by itself. @default ["sleep", "infinity"] */
  readonly command?: readonly string[] | undefined;
  /** Age at which the sandbox is removed, by the program that holds a handle to it. @default none */
  readonly timeoutMs?: number | undefined;
  /** Time without a command or file access after which it is removed, in the same way. @default none */
  readonly idleTimeoutMs?: number | undefined;
}

export interface SandboxEgress {
  /** `host`, `host:port`, `*.domain`, or `*` for everything; without a port 80 and 443 */
  readonly allow: readonly string[];
  /** By the name of the environment variable that holds a placeholder for it inside */
  readonly secrets?: Readonly<Record<string, SandboxSecret>> | undefined;
}

/** A secret that never enters the sandbox: only requests to its hosts carry it, see `EgressSecret`. */
export interface SandboxSecret {
  /** Each as it stands in `allow` */
  readonly hosts: readonly string[];
  readonly value: string;
}

export interface SandboxPort {
  readonly port: number;
  /** @default the same */
  readonly hostPort?: number | undefined;
  /** Address of the host. @default "127.0.0.1" */
  readonly hostIp?: string | undefined;
  /** @default "tcp" */
  readonly protocol?: "tcp" | "udp" | undefined;
}

export interface SandboxMount {
  readonly hostPath: string;
  readonly path: string;
  /** @default true */
  readonly readonly?: boolean | undefined;
}
