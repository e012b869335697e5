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
import { bridgeNetwork, loopbackNetwork, openRuntime } from "@longshore/runtime";
import { ociDriver } from "@longshore/runtime-oci";
import { openImageStore, type ImageFlags } from "../image/image-store.ts";

/** OCI runtimes that are offered, the default first among those that work here. */
export const ociRuntimes = ["runc", "crun", "runsc"] as const;

const logMaxBytes = 16_777_216;
const logMaxFiles = 5;

/** The engine of a home directory with everything it is made of. One process at a time may have it. */
export interface ComposedRuntime extends AsyncDisposable {
  readonly runtime: RuntimeClient;
  readonly images: NydusImageStore;
}

export interface ComposeOptions {
  readonly logger: Logger;
  /** @default one of its own */
  readonly events?: EventBus | undefined;
  /** @default the home's, opened for this and closed with it */
  readonly images?: NydusImageStore | undefined;
  /** OCI runtimes that are known to work here, best first. @default those that are found to, by trying them */
  readonly working?: readonly string[] | undefined;
}

/**
 * Puts the engine, the drivers that work here, the image store and the network of a home directory together.
 *
 * @throws {LongshoreError} `STATE_CONFLICT` while another process has it; `RUNTIME_UNAVAILABLE` when no driver works here
 */
export async function composeRuntime(
  flags: ImageFlags,
  { logger, events: given, images: store, working }: ComposeOptions,
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
    const images = store ?? own(await openImageStore(flags, { logger, events }));
    const drivers = await openDrivers(home, own, working);
    const [first] = drivers;
    if (first === undefined) throw noContainerRuntime();
    const directory = join(home, "network");
    const isRoot = process.getuid?.() === 0;
    const network = own(
      isRoot
        ? bridgeNetwork({ directory, name: bridgeName(home), events, logger })
        : loopbackNetwork(),
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

async function openDrivers(
  home: string,
  own: (driver: SandboxDriver) => SandboxDriver,
  working: readonly string[] | undefined,
): Promise<readonly SandboxDriver[]> {
  const open = (binary: string): SandboxDriver =>
    own(ociDriver({ binary, stateDirectory: join(home, "run", binary) }));
  if (working !== undefined) return working.map(open);
  const drivers = ociRuntimes.map(open);
  const probes = await Promise.all(drivers.map((driver) => driver.probe()));
  return drivers.filter((_driver, index) => probes[index]?.isAvailable === true);
}

/** @param reasons why each of them does not work */
export function noContainerRuntime(reasons: readonly string[] = []): LongshoreError {
  const why = reasons.length === 0 ? "longshore doctor says why" : reasons.join("; ");
  return new LongshoreError(
    "RUNTIME_UNAVAILABLE",
    `Containers need one of ${ociRuntimes.join(", ")}, and none works here: ${why} (Debian: apt-get install runc).`,
  );
}

/** Each home has a bridge of its own; interfaces have at most 15 characters. */
export function bridgeName(home: string): string {
  return `ls${createHash("sha256").update(home).digest("hex").slice(0, 10)}`;
}
