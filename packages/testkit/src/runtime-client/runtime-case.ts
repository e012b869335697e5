import { randomUUID } from "node:crypto";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type {
  ContainerConfig,
  ContainerStatus,
  ExecSyncResponse,
  LinuxContainerResources,
  LinuxContainerSecurityContext,
  PodSandboxConfig,
  RuntimeClient,
} from "@longshore/core";
import { expect, vi } from "vitest";
import type { RuntimeHarness } from "./suite-options.ts";

/** A sandbox that a case made. */
export interface CasePod {
  readonly podSandboxId: string;
  readonly sandboxConfig: PodSandboxConfig;
}

/** A running container that a case made, and its sandbox. */
export interface CaseContainer extends CasePod {
  readonly containerId: string;
}

/** A configuration without what the case fills in, and with Linux' parts at the top. */
export interface ContainerWishes extends Partial<Omit<ContainerConfig, "linux">> {
  readonly security?: LinuxContainerSecurityContext | undefined;
  readonly resources?: LinuxContainerResources | undefined;
}

/** What one case of the suite works with. Everything it makes through this is removed after it. */
export interface RuntimeCase {
  readonly runtime: RuntimeClient;
  readonly harness: RuntimeHarness;
  /** On the host, for this case alone; may be read by everybody */
  readonly directory: string;
  /** On every sandbox and container of this case */
  readonly labels: Readonly<Record<string, string>>;
  /** How many times longer everything takes here */
  readonly patience: number;
  /** A configuration whose metadata nobody else uses; its pod has no network unless said otherwise */
  podConfig(wishes?: Partial<PodSandboxConfig>): PodSandboxConfig;
  pod(wishes?: Partial<PodSandboxConfig>): Promise<CasePod>;
  containerConfig(wishes?: ContainerWishes, pod?: CasePod): ContainerConfig;
  /** Makes a container that sleeps, unless said otherwise, without starting it */
  create(pod: CasePod, wishes?: ContainerWishes): Promise<CaseContainer>;
  /** Makes and starts a container, in a sandbox of its own unless one is given */
  launch(wishes?: ContainerWishes, pod?: CasePod): Promise<CaseContainer>;
  /** Runs a script in a container; what it prints, without white space at the end. A failure fails the case */
  sh(container: CaseContainer, script: string): Promise<string>;
  /** Runs a script in a container, however it ends */
  trySh(container: CaseContainer, script: string): Promise<TextOutput>;
  status(container: CaseContainer): Promise<ContainerStatus>;
  /** Waits until a container has exited */
  ended(container: CaseContainer): Promise<ContainerStatus>;
}

export interface TextOutput {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface CaseSettings {
  /** Handler of the sandboxes */
  readonly runtimeHandler: string;
  /** How many times longer waiting may take */
  readonly patience: number;
}

/** Longest a case waits for a container to end, where all goes at its usual pace. */
const endMs = 30_000;

export async function openCase(
  harness: RuntimeHarness,
  { runtimeHandler, patience }: CaseSettings,
): Promise<RuntimeCase & AsyncDisposable> {
  const { runtime, images } = harness;
  const mark = randomUUID();
  const labels = { "longshore.test/case": mark };
  // Below /tmp with a name of ours: processes of other users pass through it.
  const directory = await mkdtemp(join(tmpdir(), "longshore-case-"));
  await chmod(directory, 0o755);
  let count = 0;

  const tools: RuntimeCase = {
    runtime,
    harness,
    directory,
    labels,
    patience,
    podConfig: (wishes = {}) => ({
      metadata: { name: `case-${(count += 1)}`, uid: mark, namespace: "suite", attempt: 0 },
      hostname: "suite-pod",
      ...wishes,
      labels: { ...labels, ...wishes.labels },
      linux: {
        ...wishes.linux,
        securityContext: {
          ...wishes.linux?.securityContext,
          namespaceOptions: {
            network: "none",
            ...wishes.linux?.securityContext?.namespaceOptions,
          },
        },
      },
    }),
    async pod(wishes) {
      const sandboxConfig = tools.podConfig(wishes);
      const podSandboxId = await runtime.runPodSandbox({ config: sandboxConfig, runtimeHandler });
      return { podSandboxId, sandboxConfig };
    },
    containerConfig: ({ security, resources, ...wishes } = {}, pod) => ({
      metadata: { name: `container-${(count += 1)}`, attempt: 0 },
      image: { image: images.base },
      command: ["sleep", "100000"],
      ...wishes,
      labels: { ...labels, ...wishes.labels },
      linux: {
        resources,
        securityContext: {
          namespaceOptions: pod?.sandboxConfig.linux?.securityContext?.namespaceOptions,
          ...security,
        },
      },
    }),
    async create(pod, wishes) {
      const config = tools.containerConfig(wishes, pod);
      return { ...pod, containerId: await runtime.createContainer({ ...pod, config }) };
    },
    async launch(wishes, pod) {
      const container = await tools.create(pod ?? (await tools.pod()), wishes);
      await runtime.startContainer({ containerId: container.containerId });
      return container;
    },
    async sh(container, script) {
      const output = await tools.trySh(container, script);
      expect(output, script).toMatchObject({ exitCode: 0 });
      return output.stdout.trimEnd();
    },
    async trySh({ containerId }, script) {
      return toText(await runtime.execSync({ containerId, cmd: ["sh", "-c", script] }));
    },
    async status({ containerId }) {
      return (await runtime.containerStatus({ containerId })).status;
    },
    ended: (container) =>
      vi.waitFor(
        async () => {
          const status = await tools.status(container);
          expect(status.state).toBe("exited");
          return status;
        },
        { timeout: endMs * patience, interval: 20 },
      ),
  };

  return {
    ...tools,
    async [Symbol.asyncDispose]() {
      try {
        await removeAll(runtime, labels);
      } finally {
        await rm(directory, { recursive: true, force: true });
      }
    },
  };
}

export function toText({ exitCode, stdout, stderr }: ExecSyncResponse): TextOutput {
  const [out, error] = [stdout, stderr].map((bytes) => Buffer.from(bytes).toString("utf8"));
  return { exitCode, stdout: out ?? "", stderr: error ?? "" };
}

/** Removes what a case left, and looks that the runtime does not know it any more. */
async function removeAll(
  runtime: RuntimeClient,
  labelSelector: Readonly<Record<string, string>>,
): Promise<void> {
  const pods = await runtime.listPodSandbox({ labelSelector });
  await Promise.all(pods.map(({ id }) => runtime.removePodSandbox({ podSandboxId: id })));
  expect(await runtime.listPodSandbox({ labelSelector })).toEqual([]);
  expect(await runtime.listContainers({ labelSelector })).toEqual([]);
}
