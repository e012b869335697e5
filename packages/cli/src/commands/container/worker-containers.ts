import {
  admissionRules,
  definePlugin,
  type AdmissionOverrides,
  type Plugin,
  type Policy,
  type WorkerConfig,
} from "@longshore/core";
import { containerHandler } from "@longshore/handler-container";
import type { RuntimeProbe } from "@longshore/runtime-oci";
import { noContainerRuntime } from "./compose-runtime.ts";
import { holdRuntime, type HoldOptions } from "./hold-runtime.ts";
import { importBuiltImage } from "./import-built-image.ts";

/** Whether the policy lets in jobs that run in containers: else a worker opens no engine. */
export function wantsContainers({ policy }: WorkerConfig): boolean {
  return policy.allowedModes.some((mode) => ["image", "sandbox", "build"].includes(mode));
}

export interface WorkerContainersOptions extends Omit<HoldOptions, "working"> {
  readonly probes: readonly RuntimeProbe[];
  readonly policy: Policy;
  readonly admission: AdmissionOverrides;
}

/** A worker's containers, and the plugin that runs jobs in them. */
export interface WorkerContainers extends AsyncDisposable {
  readonly plugin: Plugin;
}

/**
 * Opens the containers of a worker's home, and gives the handler of jobs that run in them.
 *
 * @throws {LongshoreError} `RUNTIME_UNAVAILABLE` when no OCI runtime works here; `STATE_CONFLICT`
 */
export async function openWorkerContainers(
  { home, worker, policy: config }: WorkerConfig,
  options: WorkerContainersOptions,
): Promise<WorkerContainers> {
  const { probes, policy, admission, logger, events, signal } = options;
  const working = probes.filter(({ available }) => available).map(({ binary }) => binary);
  if (working.length === 0) {
    throw noContainerRuntime(probes.map(({ binary, reason }) => `${binary}: ${reason}`));
  }
  const held = await holdRuntime({ home }, { logger, events, working, signal });
  const { runtime, images } = held;
  const plugin = definePlugin({
    name: "longshore-containers",
    setup(host) {
      host.registerHandler(
        containerHandler({
          runtime,
          images,
          policy,
          rules: admissionRules(admission),
          backends: working,
          network: config.network,
          allowedHosts: config.allowedHosts,
          importImage: (built, importOptions) => importBuiltImage(images, built, importOptions),
          killGraceMs: worker.killGraceSeconds * 1_000,
          maxStdoutBytes: worker.maxStdoutBytes,
          maxStderrBytes: worker.maxStderrBytes,
        }),
      );
    },
  });
  return { plugin, [Symbol.asyncDispose]: () => held[Symbol.asyncDispose]() };
}
