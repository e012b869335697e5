import type { ImageClient, ImageConfigChanges, RuntimeClient } from "@longshore/core";
import type { LeakChecker } from "../leaks/leak-checker.ts";
import type { SkippedCases } from "../suite-cases.ts";

/** What a runtime may lack, in the suite's words. Each case names those it needs. */
export const runtimeAbilities = {
  "id prefixes": "an id may be shortened",
  "image files": "a container sees its image's files as its root",
  "image config": "entry point, command, environment, directory and user of the image count",
  logs: "what a container prints is in a CRI log file",
  "log rotation": "`reopenContainerLog`",
  tty: "terminals",
  attach: "`attach`",
  "port forwarding": "`portForward`",
  users: "users, groups and supplemental groups",
  capabilities: "Linux capabilities",
  privileged: "privileged containers in privileged sandboxes",
  seccomp: "seccomp profiles",
  "no new privileges": "the no_new_privs flag",
  "read-only root": "a root that cannot be written",
  "masked paths": "masked and read-only paths",
  devices: "no device of the host but what is asked for",
  mounts: "host directories in a container",
  "mount propagation": "mounts of the host that show in a container, or not",
  "recursive read-only mounts": "mounts that are read-only with all below",
  "several containers": "more than one container at a time in a sandbox",
  "pid namespaces": "processes that see those of their pod, or only their own",
  "host namespaces": "the network and PID namespaces of the host",
  "ipc namespaces": "an IPC namespace for each pod",
  hostname: "a host name for each pod",
  "network namespaces": "a network namespace for each pod",
  "pod network": "pods with an address, DNS and port mappings",
  sysctls: "kernel settings of a pod",
  "user namespaces": "a user namespace for a pod",
  "memory limit": "containers that are killed when they use too much memory",
  "pids limit": "containers that cannot have more processes",
  "cpu limit": "containers that get no more processor time",
  "cpu set": "containers that stay on some processors",
  "oom score": "the kernel's choice of whom to kill",
  "limits in status": "`ContainerStatus.resources`",
  "update resources": "`updateContainerResources`",
  stats: "`containerStats` and its likes",
  "writable layer stats": "bytes a container wrote over its image",
  metrics: "`listMetricDescriptors` and `listPodSandboxMetrics`",
  events: "`getContainerEvents`",
  pause: "`pauseContainer`",
  commit: "`commitContainer`",
  "runtime config": "`runtimeConfig` and `updateRuntimeConfig`",
  stdin: "an input for a container's first process",
} as const;

export type RuntimeAbility = keyof typeof runtimeAbilities;

/** Parts of the contract, in the order in which they are tested. */
export const runtimeSuiteParts = [
  "runtime info",
  "sandbox",
  "container",
  "container identity",
  "image config",
  "log",
  "exec sync",
  "exec",
  "terminal",
  "attach",
  "user",
  "capability",
  "confinement",
  "mount",
  "namespace",
  "network",
  "limit",
  "stats",
  "event",
  "pause",
  "overlap",
  "hostile",
  "facade",
] as const;

export type RuntimeSuitePart = (typeof runtimeSuiteParts)[number];

/** References of images that the runtime has in its store when a case begins. */
export interface RuntimeSuiteImages {
  /** BusyBox or Debian's tools, and what {@link runtimeSuiteFiles} says */
  readonly base: string;
  /** The same files, with the configuration {@link runtimeSuiteImageConfig}. Needed for the ability `image config` */
  readonly configured?: string | undefined;
}

/** What both images must hold beside their tools. Lines are added to what is there. */
export const runtimeSuiteFiles = {
  "/etc/passwd": "worker:x:1000:1000:worker:/:/bin/sh\n",
  "/etc/group": "worker:x:1000:\ncrew:x:50000:worker\n",
  /** A link that leads out of the image when somebody follows it outside */
  links: { "/escape": "../../../../../../tmp" },
} as const;

type ConfiguredField = "entrypoint" | "cmd" | "env" | "workingDir" | "user" | "stopSignal";

/** How the image `configured` is configured. */
export const runtimeSuiteImageConfig: {
  readonly [Field in ConfiguredField]: NonNullable<ImageConfigChanges[Field]>;
} = {
  entrypoint: ["/bin/sh", "-c"],
  cmd: ['printf "%s:" "$GREETING" "$PWD" "$(id -u)"; trap "exit 9" USR1; echo; sleep 60 & wait'],
  env: ["GREETING=from the image", "KEPT=image"],
  workingDir: "/usr",
  user: "worker",
  stopSignal: "SIGUSR1",
};

/** A runtime under test. Disposing ends it and removes all it made. */
export interface RuntimeHarness extends AsyncDisposable {
  readonly runtime: RuntimeClient;
  readonly images: RuntimeSuiteImages;
  /** The store, for cases that commit a container. */
  readonly imageClient?: ImageClient | undefined;
}

export interface RuntimeSuiteOptions {
  /** Makes the runtime; once for all cases, which clean up after themselves */
  create(): Promise<RuntimeHarness>;
  /** Handler of the sandboxes. @default "" */
  readonly runtimeHandler?: string | undefined;
  /** What is tested, e.g. of a runtime that only passes calls on to one that was tested whole. @default all */
  readonly parts?: readonly RuntimeSuitePart[] | undefined;
  /** What the runtime does not have, and why: the cases that need it are skipped with that reason */
  readonly lacks?: Readonly<Partial<Record<RuntimeAbility, string>>> | undefined;
  readonly skip?: SkippedCases | undefined;
  /** How many times longer a case may take, e.g. where processors are emulated. @default 1 */
  readonly patience?: number | undefined;
  /** Takes note of the machine before each case; what is new after it fails the case */
  readonly leaks?: (() => Promise<LeakChecker>) | undefined;
}
