/** What an image says about its processes: the `config` part of an OCI image configuration. */
export interface ImageConfig {
  /** `user`, `uid`, `user:group` or `uid:gid`. @default root */
  readonly user?: string | undefined;
  /** `KEY=value` */
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly workingDir?: string | undefined;
  readonly stopSignal?: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** `80/tcp` */
  readonly exposedPorts: readonly string[];
  /** Paths that are meant to be volumes */
  readonly volumes: readonly string[];
  readonly os: string;
  readonly architecture: string;
}
