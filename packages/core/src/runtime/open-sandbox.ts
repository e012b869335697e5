import { randomUUID } from "node:crypto";
import { LongshoreError } from "../errors/longshore-error.ts";
import type { ImageSpec } from "../image/image.ts";
import type { RuntimeClient } from "./runtime-client.ts";
import { sandboxConfigs, type SandboxIdentity } from "./sandbox-config.ts";
import { sandboxHandle } from "./sandbox-handle.ts";
import { checkSandboxSpec } from "./sandbox-spec-schema.ts";
import type { SandboxSpec } from "./sandbox-spec.ts";
import type { Sandbox, SandboxOptions, SandboxTimings } from "./sandbox.ts";

/** What is not JSON about opening. */
export type OpenOptions = Omit<SandboxOptions, keyof SandboxSpec>;

/**
 * Makes a sandbox with one container in it. Resolves once its holding process runs, so that commands can. When it rejects
 * or is aborted, nothing stays.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for a spec that makes no sense; what pulling the image and `RuntimeClient`
 *   throw; `SANDBOX_CREATE_FAILED` when the holding process ended at once, or when a sandbox that was half made could not
 *   be removed, its id in `details.podSandboxId`
 */
export async function openSandbox(
  runtime: RuntimeClient,
  options: SandboxOptions,
): Promise<Sandbox> {
  const { spec, open } = splitOptions(options);
  return makeSandbox(runtime, checkSandboxSpec(spec), { ...open, identity: { uid: randomUUID() } });
}

export function splitOptions(options: SandboxOptions): {
  readonly spec: SandboxSpec;
  readonly open: OpenOptions;
} {
  const { signal, images, auth, onProgress, keep, ...spec } = options;
  return { spec, open: { signal, images, auth, onProgress, keep } };
}

/** @param spec checked already */
export async function makeSandbox(
  runtime: RuntimeClient,
  spec: SandboxSpec,
  options: OpenOptions & { readonly identity: SandboxIdentity },
): Promise<Sandbox> {
  const { signal, onProgress, identity, keep = false } = options;
  const { runtimeHandler = "", name = "sandbox", timeoutMs, idleTimeoutMs } = spec;
  signal?.throwIfAborted();
  const clock = phaseClock();
  const image = await provideImage(spec, options);
  const pullMs = clock();
  const { pod, container } = sandboxConfigs(spec, identity);
  onProgress?.({ phase: "sandbox" });
  const podSandboxId = await runtime.runPodSandbox({ config: pod, runtimeHandler }, { signal });
  try {
    const sandboxMs = clock();
    onProgress?.({ phase: "container" });
    const containerId = await runtime.createContainer(
      { podSandboxId, config: container(image), sandboxConfig: pod },
      { signal },
    );
    const containerMs = clock();
    onProgress?.({ phase: "start" });
    await runtime.startContainer({ containerId }, { signal });
    await assertRunning(runtime, containerId, signal);
    const startMs = clock();
    const totalMs = pullMs + sandboxMs + containerMs + startMs;
    const timings: SandboxTimings = { pullMs, sandboxMs, containerMs, startMs, totalMs };
    onProgress?.({ phase: "ready" });
    return sandboxHandle(runtime, {
      id: podSandboxId,
      containerId,
      name,
      isCreated: true,
      keep,
      timings,
      limits: { remainingMs: timeoutMs, idleTimeoutMs },
    });
  } catch (error) {
    await undo(runtime, podSandboxId, error);
    throw error;
  }
}

async function assertRunning(
  runtime: RuntimeClient,
  containerId: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { status } = await runtime.containerStatus({ containerId }, { signal });
  if (status.state === "running") return;
  throw new LongshoreError(
    "SANDBOX_CREATE_FAILED",
    `The sandbox's holding process ended at once, with exit code ${status.exitCode}; name a command that goes on.`,
    { details: { exitCode: status.exitCode, reason: status.reason ?? "" } },
  );
}

/** Not bound to the caller's signal: an abort must not leave a sandbox behind. */
async function undo(runtime: RuntimeClient, podSandboxId: string, cause: unknown): Promise<void> {
  try {
    await runtime.removePodSandbox({ podSandboxId });
  } catch (error) {
    const reasons = [cause, error].map((one) => (one instanceof Error ? one.message : String(one)));
    throw new LongshoreError(
      "SANDBOX_CREATE_FAILED",
      `The sandbox was not made (${reasons[0]}) and could not be removed (${reasons[1]}).`,
      { cause, details: { podSandboxId } },
    );
  }
}

async function provideImage(
  { image, pull = "missing", runtimeHandler }: SandboxSpec,
  { images, auth, onProgress, signal }: OpenOptions,
): Promise<ImageSpec> {
  const spec: ImageSpec = { image, userSpecifiedImage: image, runtimeHandler };
  if (images === undefined || pull === "never") return spec;
  const present =
    pull === "missing" ? (await images.imageStatus({ image: spec }, { signal })).image : undefined;
  const id =
    present?.id ??
    (await images.pullImage(
      { image: spec, auth },
      { signal, onProgress: (progress) => onProgress?.({ phase: "pull", pull: progress }) },
    ));
  // The id, so that a tag which moves meanwhile changes nothing.
  return { ...spec, image: id };
}

/** Milliseconds since the last call. */
function phaseClock(): () => number {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const passed = now - last;
    last = now;
    return passed;
  };
}
