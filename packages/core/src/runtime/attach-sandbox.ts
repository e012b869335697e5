import type { Abortable } from "../abortable.ts";
import { isLongshoreError, LongshoreError } from "../errors/longshore-error.ts";
import { nanosecondsToMs } from "./nanoseconds.ts";
import type { PodSandbox } from "./pod-sandbox.ts";
import type { RuntimeClient } from "./runtime-client.ts";
import { sandboxHandle } from "./sandbox-handle.ts";
import { sandboxLabels } from "./sandbox-labels.ts";
import type { Sandbox, SandboxReference } from "./sandbox.ts";

/** A sandbox of the facade in a list. */
export interface ListedSandbox {
  readonly id: string;
  readonly name: string;
  /** `notready` is final */
  readonly state: "ready" | "notready";
  readonly createdAtMs: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly runtimeHandler: string;
}

export interface ListSandboxesOptions extends Abortable {
  readonly name?: string | undefined;
  /** Every pair must be equal */
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** The sandboxes that `openSandbox` and `ensureSandbox` made, whoever called them, the oldest first. */
export async function listSandboxes(
  runtime: RuntimeClient,
  { name, labels, signal }: ListSandboxesOptions = {},
): Promise<readonly ListedSandbox[]> {
  const labelSelector = { ...labels, ...(name !== undefined && { [sandboxLabels.name]: name }) };
  const pods = await runtime.listPodSandbox({ labelSelector }, { signal });
  return pods
    .filter((pod) => pod.labels[sandboxLabels.name] !== undefined)
    .map((pod) => ({
      id: pod.id,
      name: pod.labels[sandboxLabels.name] ?? "",
      state: pod.state,
      createdAtMs: nanosecondsToMs(pod.createdAt),
      labels: pod.labels,
      runtimeHandler: pod.runtimeHandler,
    }))
    .toSorted((a, b) => a.createdAtMs - b.createdAtMs);
}

/**
 * A handle to a sandbox that is there, from what `toJSON` of another handle gave, maybe in another process. Disposing it
 * detaches; `remove` removes.
 *
 * @param reference checked here, so it may come from anywhere
 * @throws {LongshoreError} `SANDBOX_NOT_FOUND` when it is gone, has stopped or is past its time; `VALIDATION_ERROR` for
 *   what is no reference
 */
export async function attachSandbox(
  runtime: RuntimeClient,
  reference: unknown,
  { signal }: Abortable = {},
): Promise<Sandbox> {
  const { id, containerId } = parseReference(reference);
  const found = await findSandbox(runtime, { id, containerId }, signal);
  if (found !== undefined) return found;
  throw new LongshoreError("SANDBOX_NOT_FOUND", `The sandbox ${id} is gone.`, {
    details: { podSandboxId: id },
  });
}

/** A handle when the sandbox is there and usable; one past its time is removed. */
export async function findSandbox(
  runtime: RuntimeClient,
  { id, containerId }: Pick<SandboxReference, "id" | "containerId">,
  signal: AbortSignal | undefined,
): Promise<Sandbox | undefined> {
  const pod = await present(runtime.podSandboxStatus({ podSandboxId: id }, { signal }));
  const name = pod?.status.labels[sandboxLabels.name];
  // A prefix of an id finds a sandbox as well, and so does the id of one that is not the facade's.
  if (pod?.status.state !== "ready" || pod.status.id !== id || name === undefined) return undefined;
  const containers = await runtime.listContainers({ podSandboxId: id }, { signal });
  const container = containers.find((one) => one.id === containerId);
  if (container?.state !== "running") return undefined;
  const limits = limitsOf(pod.status);
  if (limits.remainingMs !== undefined && limits.remainingMs <= 0) {
    await runtime.removePodSandbox({ podSandboxId: id });
    return undefined;
  }
  return sandboxHandle(runtime, { id, containerId, name, isCreated: false, keep: true, limits });
}

function limitsOf({ annotations, createdAt }: PodSandbox): {
  readonly remainingMs: number | undefined;
  readonly idleTimeoutMs: number | undefined;
} {
  const timeoutMs = annotations[sandboxLabels.timeoutMs];
  const idleTimeoutMs = annotations[sandboxLabels.idleTimeoutMs];
  return {
    remainingMs:
      timeoutMs === undefined
        ? undefined
        : nanosecondsToMs(createdAt) + Number(timeoutMs) - Date.now(),
    idleTimeoutMs: idleTimeoutMs === undefined ? undefined : Number(idleTimeoutMs),
  };
}

async function present<Value>(answer: Promise<Value>): Promise<Value | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isLongshoreError(error, "SANDBOX_NOT_FOUND") || isLongshoreError(error, "NOT_FOUND")) {
      return undefined;
    }
    throw error;
  }
}

function parseReference(reference: unknown): SandboxReference {
  const isReference =
    typeof reference === "object" &&
    reference !== null &&
    "kind" in reference &&
    reference.kind === "longshore.sandbox.v1" &&
    "id" in reference &&
    typeof reference.id === "string" &&
    "containerId" in reference &&
    typeof reference.containerId === "string";
  if (isReference) return reference as SandboxReference;
  throw new LongshoreError(
    "VALIDATION_ERROR",
    "A sandbox is attached to by what its toJSON() gave: {kind, id, containerId}.",
  );
}
