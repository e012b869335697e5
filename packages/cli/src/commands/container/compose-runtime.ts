import { createHash } from "node:crypto";
import { join, resolve } from "node:path";
import {
  LongshoreError,
  memoryEventBus,
  type EventBus,
  type Logger,
  type RuntimeClient,
  type SandboxDriver,
} from "@longshore/core";
import type { NydusImageStore } from "@longshore/image-nydus";
import { bridgeNetwork, openRuntime } from "@longshore/runtime";
import { ociDriver } from "@longshore/runtime-oci";
import { openImageStore, type ImageFlags } from "../image/image-store.ts";

/** OCI runtimes that are offered, the default first among those that work here. */
const ociRuntimes = ["runc", "crun"] as const;

const logMaxBytes = 16_777_216;
const logMaxFiles = 4;

/** The engine of a home directory with everything it is made of. One process at a time may have it. */
export interface ComposedRuntime extends AsyncDisposable {
  readonly runtime: RuntimeClient;
  readonly images: NydusImageStore;
}

export interface ComposeOptions {
  readonly logger: Logger;
  /** @default one of its own */
  readonly events?: EventBus | undefined;
}

/**
 * Puts the engine, the drivers that work here, the image store and the network of a home directory together.
 *
 * @throws {LongshoreError} `STATE_CONFLICT` while another process has it; `RUNTIME_UNAVAILABLE` when no driver works here
 */
export async function composeRuntime(
  flags: ImageFlags,
  { logger, events: given }: ComposeOptions,
): Promise<ComposedRuntime> {
  const home = resolve(flags.home);
  const parts: AsyncDisposable[] = [];
  const dispose = async (): Promise<void> => {
    for (const part of parts.toReversed()) await part[Symbol.asyncDispose]();
  };
  const own = <Part extends AsyncDisposable>(part: Part): Part => {
    parts.push(part);
    return part;
  };
  try {
    const events = given ?? own(memoryEventBus());
    const images = own(await openImageStore(flags, { logger, events }));
    const drivers = await workingDrivers(home, own);
    const [first] = drivers;
    if (first === undefined) throw noDriver();
    const network = own(
      bridgeNetwork({
        directory: join(home, "network"),
        name: bridgeName(home),
        events,
        logger,
      }),
    );
    const runtime = own(
      await openRuntime({
        directory: join(home, "sandboxes"),
        drivers,
        defaultHandler: first.name,
        images,
        committer: images,
        network,
        events,
        logger,
        log: { maxBytes: logMaxBytes, maxFiles: logMaxFiles },
      }),
    );
    return { runtime, images, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function workingDrivers(
  home: string,
  own: (driver: SandboxDriver) => SandboxDriver,
): Promise<readonly SandboxDriver[]> {
  const working: SandboxDriver[] = [];
  for (const binary of ociRuntimes) {
    const driver = own(ociDriver({ binary, stateDirectory: join(home, "run", binary) }));
    if ((await driver.probe()).isAvailable) working.push(driver);
  }
  return working;
}

function noDriver(): LongshoreError {
  return new LongshoreError(
    "RUNTIME_UNAVAILABLE",
    `Containers need one of ${ociRuntimes.join(", ")}, and none works here; longshore doctor says why (Debian: apt-get ` +
      "install runc).",
  );
}

/** Each home has a bridge of its own; interfaces have at most 15 characters. */
function bridgeName(home: string): string {
  return `ls${createHash("sha256").update(home).digest("hex").slice(0, 10)}`;
}
