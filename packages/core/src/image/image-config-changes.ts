/** Changes to what an image says about its processes; what is absent stays as it is. */
export interface ImageConfigChanges {
  /** Empty: root */
  readonly user?: string | undefined;
  /** `KEY=value`; take the place of those with the same key, and come behind the others */
  readonly env?: readonly string[] | undefined;
  readonly entrypoint?: readonly string[] | undefined;
  readonly cmd?: readonly string[] | undefined;
  /** Absolute; empty: none */
  readonly workingDir?: string | undefined;
  readonly stopSignal?: string | undefined;
  /** Take the place of those with the same name, and come behind the others */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** `80/tcp`; come behind the others */
  readonly exposedPorts?: readonly string[] | undefined;
  /** Come behind the others */
  readonly volumes?: readonly string[] | undefined;
}
