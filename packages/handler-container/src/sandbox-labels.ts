import {
  isProcessGone,
  processIdentity,
  type HandlerContext,
  type RuntimeClient,
} from "@longshore/core";

const jobLabel = "longshore.dev/job-id";
const attemptLabel = "longshore.dev/attempt";
const workerLabel = "longshore.dev/worker-id";
/** Process that made the sandbox and would remove it */
const processLabel = "longshore.dev/worker-process";

/** Labels by which a job's sandbox is found again. */
export async function sandboxLabels(context: HandlerContext): Promise<Record<string, string>> {
  return {
    [jobLabel]: context.jobId,
    [attemptLabel]: String(context.attempt),
    [workerLabel]: context.workerId,
    [processLabel]: await processIdentity(),
  };
}

/** Removes what earlier attempts of a job left: whoever ran them has lost the job. */
export async function removeEarlierAttempts(runtime: RuntimeClient, jobId: string): Promise<void> {
  const left = await runtime.listPodSandbox({ labelSelector: { [jobLabel]: jobId } });
  await Promise.all(left.map(({ id }) => runtime.removePodSandbox({ podSandboxId: id })));
}

/** Removes the sandboxes of workers that have died, e.g. by `kill -9`. */
export async function removeOrphans(runtime: RuntimeClient): Promise<void> {
  for (const { id, labels } of await runtime.listPodSandbox()) {
    const owner = labels[processLabel];
    if (owner === undefined || labels[jobLabel] === undefined) continue;
    if (await isProcessGone(owner)) await runtime.removePodSandbox({ podSandboxId: id });
  }
}
