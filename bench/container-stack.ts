import { join } from "node:path";
import type { PodSandboxConfig } from "@longshore/core";
import { openNydusImageStore } from "@longshore/image-nydus";
import { bridgeNetwork, openRuntime, type Runtime } from "@longshore/runtime";
import { ociDriver } from "@longshore/runtime-oci";
import type { OciRuntime } from "./container-peers.ts";

/** The engine over everything real: an OCI runtime, the image store, a network. Disposing removes what runs there. */
export interface ContainerStack extends AsyncDisposable {
  readonly runtime: Runtime;
  /** Starts a sandbox with nothing but loopback, and gives its id */
  startSandbox(signal: AbortSignal): Promise<string>;
  /** Makes and starts a container in a sandbox, and gives its id */
  startContainer(
    podSandboxId: string,
    command: readonly string[],
    signal: AbortSignal,
  ): Promise<string>;
}

export interface ContainerStackOptions {
  readonly directory: string;
  /** Reference of the image that all containers are of */
  readonly image: string;
  readonly runtime: OciRuntime;
}

export async function openContainerStack(options: ContainerStackOptions): Promise<ContainerStack> {
  const { directory, image, runtime: binary } = options;
  const parts: AsyncDisposable[] = [];
  const dispose = async (): Promise<void> => {
    for (const part of parts.toReversed()) await part[Symbol.asyncDispose]();
  };
  const own = <Part extends AsyncDisposable>(part: Part): Part => {
    parts.push(part);
    return part;
  };
  try {
    const images = own(await openNydusImageStore({ directory: join(directory, "images") }));
    const imageRef = await images.pullImage({ image: { image } });
    const driver = own(ociDriver({ binary, stateDirectory: join(directory, "state") }));
    const name = `ls${binary}${process.pid}`.slice(0, 15);
    const network = own(bridgeNetwork({ directory: join(directory, "network"), name }));
    const runtime = own(
      await openRuntime({
        directory: join(directory, "sandboxes"),
        drivers: [driver],
        defaultHandler: driver.name,
        images,
        network,
      }),
    );
    own({ [Symbol.asyncDispose]: () => removeSandboxes(runtime) });
    let count = 0;
    const metadata = () => ({ name: `bench-${(count += 1)}` });
    const sandboxConfig = (): PodSandboxConfig => ({
      metadata: { ...metadata(), uid: String(count), namespace: "bench" },
      linux: {
        securityContext: { namespaceOptions: { network: "none", pid: "pod", ipc: "pod" } },
      },
    });
    return {
      runtime,
      startSandbox: (signal) => runtime.runPodSandbox({ config: sandboxConfig() }, { signal }),
      async startContainer(podSandboxId, command, signal) {
        const config = { metadata: metadata(), image: { image: imageRef }, command };
        const request = { podSandboxId, config, sandboxConfig: sandboxConfig() };
        const containerId = await runtime.createContainer(request, { signal });
        await runtime.startContainer({ containerId }, { signal });
        return containerId;
      },
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Also those that an interruption left; what is being made then goes by itself. */
async function removeSandboxes(runtime: Runtime): Promise<void> {
  const sandboxes = await runtime.listPodSandbox();
  await Promise.all(
    sandboxes.map(({ id: podSandboxId }) => runtime.removePodSandbox({ podSandboxId })),
  );
}
