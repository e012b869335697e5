import type {
  ContainerConfig,
  LinuxContainerResources,
  LinuxContainerSecurityContext,
  PodSandboxConfig,
  ProcessSpec,
} from "@longshore/core";
import { capabilityNames } from "../../src/spec/capability-names.ts";
import type { ContainerSpecInput } from "../../src/spec/container-spec-input.ts";
import type { HostFacts } from "../../src/spec/host-facts.ts";

/** A machine with cgroup v2, all rights and all features. */
export const plentifulHost: HostFacts = {
  boundingCapabilities: new Set(capabilityNames),
  hasSysResource: true,
  isRoot: true,
  oomScoreAdj: 0,
  hardRlimits: new Map([
    ["RLIMIT_NOFILE", 20_000],
    ["RLIMIT_CORE", Infinity],
  ]),
  cgroupVersion: 2,
  controllers: new Set(["cpu", "cpuset", "hugetlb", "io", "memory", "pids"]),
  hasSwapLimit: true,
  hasSelinux: false,
  hasSeccomp: true,
  architecture: "x64",
  kernelVersion: [6, 1],
  hostname: "machine",
  runtime: { recursiveReadOnly: true, idMappedMounts: true },
};

/** A machine with cgroup v1, and without rights beyond the usual ones of root. */
export const plainHost: HostFacts = {
  ...plentifulHost,
  boundingCapabilities: new Set(capabilityNames.filter((name) => name !== "SYS_RESOURCE")),
  hasSysResource: false,
  oomScoreAdj: -100,
  cgroupVersion: 1,
  controllers: new Set(["cpu", "cpuset", "memory", "pids"]),
  runtime: { recursiveReadOnly: false, idMappedMounts: false },
};

/** What a test says of a container; the rest is plain. */
export interface SpecOptions {
  readonly security?: LinuxContainerSecurityContext;
  readonly resources?: LinuxContainerResources;
  readonly config?: Partial<ContainerConfig>;
  readonly sandbox?: Partial<PodSandboxConfig>;
  readonly process?: Partial<ProcessSpec>;
  readonly input?: Partial<ContainerSpecInput>;
  readonly host?: HostFacts;
}

/** The input for a container called `c1` in a root filesystem. */
export function specInput(rootPath: string, options: SpecOptions = {}): ContainerSpecInput {
  return {
    containerId: "c1",
    sandboxId: "s1",
    sandbox: {
      metadata: { name: "pod", uid: "u1", namespace: "default" },
      hostname: "pod-1",
      linux: {
        securityContext: {
          privileged: options.security?.privileged ?? false,
          namespaceOptions: options.security?.namespaceOptions,
        },
      },
      ...options.sandbox,
    },
    config: {
      metadata: { name: "main" },
      image: { image: "busybox" },
      linux: { resources: options.resources ?? {}, securityContext: options.security ?? {} },
      ...options.config,
    },
    process: {
      argv: ["/bin/true"],
      env: [],
      workingDir: "/",
      tty: false,
      stdin: false,
      ...options.process,
    },
    rootPath,
    namespaces: {},
    cgroupsPath: "/longshore-spec-test/c1",
    host: options.host ?? plentifulHost,
    files: {},
    ...options.input,
  };
}
