import { isLongshoreError, LongshoreError } from "../errors/longshore-error.ts";
import { findSandbox } from "./attach-sandbox.ts";
import { nanosecondsToMs } from "./nanoseconds.ts";
import { makeSandbox, splitOptions } from "./open-sandbox.ts";
import type { PodSandbox } from "./pod-sandbox.ts";
import type { RuntimeClient } from "./runtime-client.ts";
import { sandboxChanges } from "./sandbox-changes.ts";
import { ensuredUid, sandboxLabels, specHash } from "./sandbox-labels.ts";
import { checkSandboxSpec } from "./sandbox-spec-schema.ts";
import type { Sandbox, SandboxOptions } from "./sandbox.ts";

export interface EnsureOptions extends Omit<SandboxOptions, "name"> {
  /** Whether a sandbox of another spec is removed for the new one, rather than an error. @default false */
  readonly replace?: boolean | undefined;
}

/** A sandbox that has no running container after this long was left half made */
const makingMs = 60_000;
const unlistedMs = 100;

/**
 * The running sandbox of a name, when it was made from the same spec; else a new one. Callers at the same time, in other
 * processes too, get the same sandbox. One that has stopped is removed and made again.
 *
 * `pull` and the time-outs belong to the spec; a tag that has moved does not make another spec. Disposing the handle
 * detaches, because with two callers it is luck which of them made the sandbox; with `keep: false` the one that did
 * removes it.
 *
 * @throws {LongshoreError} `STATE_CONFLICT` when the name is taken by another spec; what `openSandbox` throws
 */
export async function ensureSandbox(
  runtime: RuntimeClient,
  name: string,
  { replace = false, ...options }: EnsureOptions,
): Promise<Sandbox> {
  const { spec: given, open } = splitOptions({ ...options, name });
  const spec = checkSandboxSpec(given);
  const hash = await specHash(spec);
  const { signal, keep = true } = open;
  const identity = { uid: ensuredUid, labels: { [sandboxLabels.specHash]: hash } };
  await using changes = sandboxChanges(runtime, signal);
  let conflictSinceMs: number | undefined;

  for (;;) {
    signal?.throwIfAborted();
    const pod = await holderOf(runtime, name, signal);
    if (pod !== undefined) {
      const containers = await runtime.listContainers({ podSandboxId: pod.id }, { signal });
      const running = containers.find(({ state }) => state === "running");
      const ageMs = Date.now() - nanosecondsToMs(pod.createdAt);
      const isMaking = containers.every(({ state }) => state === "created") && ageMs < makingMs;
      const isSame = pod.labels[sandboxLabels.specHash] === hash;
      if (pod.state === "ready" && !isSame && !replace) throw taken(name, pod);
      if (pod.state === "ready" && isSame && isMaking) {
        await changes.next(makingMs - ageMs);
        continue;
      }
      if (isSame && running !== undefined) {
        const found = await findSandbox(runtime, { id: pod.id, containerId: running.id }, signal);
        if (found !== undefined) return found;
      }
      await runtime.removePodSandbox({ podSandboxId: pod.id }, { signal });
    }
    try {
      return await makeSandbox(runtime, spec, { ...open, keep, identity });
    } catch (error) {
      if (!isLongshoreError(error, "STATE_CONFLICT")) throw error;
      // Somebody else was faster: theirs is the one. It may not be in the list yet, and if it fails before, nobody says.
      if ((await holderOf(runtime, name, signal)) !== undefined) continue;
      conflictSinceMs ??= performance.now();
      if (performance.now() - conflictSinceMs > makingMs) throw error;
      await changes.next(unlistedMs);
    }
  }
}

async function holderOf(
  runtime: RuntimeClient,
  name: string,
  signal: AbortSignal | undefined,
): Promise<PodSandbox | undefined> {
  const labelSelector = { [sandboxLabels.name]: name };
  const pods = await runtime.listPodSandbox({ labelSelector }, { signal });
  return pods.find(({ metadata }) => metadata.uid === ensuredUid);
}

function taken(name: string, pod: PodSandbox): LongshoreError {
  return new LongshoreError(
    "STATE_CONFLICT",
    `The sandbox "${name}" was made from another spec; remove it, or say replace: true.`,
    { details: { name, podSandboxId: pod.id } },
  );
}
