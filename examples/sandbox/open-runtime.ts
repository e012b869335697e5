import { join } from "node:path";
import { defaultHome, type ImageClient, type RuntimeClient } from "@longshore/core";
import { openNydusImageStore } from "@longshore/image-nydus";
import { bridgeNetwork, openRuntime } from "@longshore/runtime";
import { ociDriver } from "@longshore/runtime-oci";

/** Containers by runc, with their images and networks, in a directory that one program at a time may have. */
export interface Sandboxes extends AsyncDisposable {
  readonly runtime: RuntimeClient;
  readonly images: ImageClient;
}

export async function openSandboxes(): Promise<Sandboxes> {
  const home = process.env["EXAMPLES_HOME"] ?? join(defaultHome(), "examples");
  const images = await openNydusImageStore({ directory: join(home, "images") });
  const driver = ociDriver({ binary: "runc", stateDirectory: join(home, "run") });
  const network = bridgeNetwork({ directory: join(home, "network"), name: "examples0" });
  const directory = join(home, "sandboxes");
  const defaultHandler = driver.name;
  const runtime = await openRuntime({
    directory,
    drivers: [driver],
    defaultHandler,
    images,
    network,
  });
  const dispose = async (): Promise<void> => {
    for (const part of [runtime, network, driver, images]) await part[Symbol.asyncDispose]();
  };
  return { runtime, images, [Symbol.asyncDispose]: dispose };
}
