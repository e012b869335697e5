import {
  LongshoreError,
  type ContainerConfig,
  type HandlerContext,
  type JobRuntime,
  type KeyValue,
  type PodSandboxConfig,
  type RuntimeClient,
} from "@longshore/core";
import type { ContainerHandlerOptions } from "./container-handler-options.ts";
import type { JobPlace } from "./job-place.ts";
import { sandboxLabels } from "./sandbox-labels.ts";
import type { SandboxWishes } from "./sandbox-wishes.ts";

/** All that a container is made from. */
export interface JobContainerParts {
  readonly imageId: string;
  readonly runtime: JobRuntime;
  readonly wishes: SandboxWishes;
  readonly place: JobPlace;
  readonly envs: readonly KeyValue[];
}

/** A job's sandbox: its own network, or none. */
export async function jobSandboxConfig(
  context: HandlerContext,
  { wishes, place }: JobContainerParts,
): Promise<PodSandboxConfig> {
  return {
    metadata: {
      // By which people find it.
      name: context.jobId,
      uid: context.jobId,
      namespace: context.document.metadata?.namespace ?? "default",
      attempt: context.attempt,
    },
    hostname: "job",
    logDirectory: place.logDirectory,
    labels: await sandboxLabels(context),
    egress: wishes.egress,
    linux: {
      resources: wishes.resources,
      securityContext: {
        namespaceOptions: { network: wishes.network, pid: "container", ipc: "pod" },
        seccomp: { profileType: "runtimeDefault" },
      },
    },
  };
}

/** The container in it, whose first process is the job. */
export function jobContainerConfig(parts: JobContainerParts): ContainerConfig {
  const { imageId, runtime, wishes, place, envs } = parts;
  const { cmd = [], args = [], user } = runtime;
  const words = [...cmd, ...args];
  return {
    metadata: { name: "job", attempt: 0 },
    logPath: "job.log",
    image: { image: imageId, userSpecifiedImage: runtime.image },
    // After the image's entry point, as `docker run IMAGE CMD` has it.
    args: words.length === 0 ? undefined : words,
    workingDir: place.workingDir,
    envs,
    mounts: [{ hostPath: place.directory, containerPath: place.inside }],
    stdin: true,
    stdinOnce: true,
    linux: {
      resources: wishes.resources,
      securityContext: {
        namespaceOptions: { network: wishes.network, pid: "container", ipc: "pod" },
        noNewPrivs: true,
        seccomp: { profileType: "runtimeDefault" },
        ...identity(user),
      },
    },
  };
}

function identity(user: string | undefined): {
  readonly runAsUser?: number;
  readonly runAsGroup?: number;
  readonly runAsUsername?: string;
} {
  if (user === undefined) return {};
  const [, uid, gid] = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(user) ?? [];
  if (uid === undefined) return { runAsUsername: user };
  return { runAsUser: Number(uid), ...(gid !== undefined && { runAsGroup: Number(gid) }) };
}

/**
 * The runtime handler for a job.
 *
 * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED`: a wanted isolation that is not there is never replaced by a weaker one
 */
export async function chooseHandler(
  runtime: RuntimeClient,
  mode: "image" | "sandbox" | "build",
  {
    options,
    backend,
    signal,
  }: {
    readonly options: ContainerHandlerOptions;
    readonly backend: string;
    readonly signal: AbortSignal;
  },
): Promise<string> {
  const { backends = [], runtimeHandler = "" } = options;
  if (mode !== "sandbox") {
    if (backend === "auto" || backend === runtimeHandler) return runtimeHandler;
    throw unsupported(`a job of mode "${mode}" has no choice of a sandbox backend`, { backend });
  }
  const wanted = backend === "auto" ? backends : backends.filter((name) => name === backend);
  const { runtimeHandlers } = await runtime.status({}, { signal });
  const available = new Set(runtimeHandlers.map(({ name }) => name));
  const chosen = wanted.find((name) => available.has(name));
  if (chosen !== undefined) return chosen;
  throw unsupported(
    `the sandbox backend "${backend}" is not one of this worker's, or not available`,
    { backend, backends, available: [...available] },
  );
}

function unsupported(reason: string, details: Readonly<Record<string, unknown>>): LongshoreError {
  return new LongshoreError("RUNTIME_NOT_SUPPORTED", `The job cannot run here: ${reason}.`, {
    phase: "validation",
    details,
  });
}
