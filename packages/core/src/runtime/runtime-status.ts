/** What a runtime says it is. No field is empty. */
export interface RuntimeVersion {
  /** Version of the kubelet's runtime API, `"0.1.0"` */
  readonly version: string;
  readonly runtimeName: string;
  /** Semantic version */
  readonly runtimeVersion: string;
  /** `"v1"` */
  readonly runtimeApiVersion: string;
}

export interface StatusRequest {
  /** Whether `info` is wanted. @default false */
  readonly verbose?: boolean | undefined;
}

export interface StatusResponse {
  /** At least `RuntimeReady` and `NetworkReady` */
  readonly conditions: readonly RuntimeCondition[];
  /** Each value a JSON text */
  readonly info?: Readonly<Record<string, string>> | undefined;
  /** Handlers a sandbox may ask for; `""` is the default one and always there */
  readonly runtimeHandlers: readonly RuntimeHandler[];
  readonly features?: RuntimeFeatures | undefined;
}

export interface RuntimeCondition {
  /** `"RuntimeReady"`, `"NetworkReady"`, or one of the runtime's own */
  readonly type: string;
  readonly status: boolean;
  /** One CamelCase word */
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
}

export interface RuntimeHandler {
  readonly name: string;
  readonly features: {
    readonly recursiveReadOnlyMounts: boolean;
    readonly userNamespaces: boolean;
  };
}

export interface RuntimeFeatures {
  /** Promises `ContainerStatus.user` as well */
  readonly supplementalGroupsPolicy: boolean;
  readonly userNamespacesHostNetwork: boolean;
  readonly mountOptions: boolean;
}

/** What the node tells its runtime. */
export interface RuntimeConfig {
  readonly networkConfig?: {
    /** Empty: leave as it is */
    readonly podCidr: string;
  };
}

/** What the runtime tells the node; constant while the node is up. */
export interface RuntimeConfigResponse {
  readonly linux?: { readonly cgroupDriver: "systemd" | "cgroupfs" } | undefined;
}
