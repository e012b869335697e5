import { describe, expect, it } from "vitest";
import { serveMaster, type ServedMaster } from "./fixtures/served-master.ts";

/** Submits a job that waits, and takes it as another program would that uses the store. */
async function takeBehindBack(
  master: ServedMaster,
  execution: { readonly queueTimeoutSeconds?: number } = {},
): Promise<string> {
  const { jobId } = await master.client.submit({ operation: "test.sample", execution });
  await master.store.transition({
    jobId,
    from: "queued",
    to: "assigned",
    fence: { owner: "master", attempt: 1 },
    patch: { owner: "other" },
  });
  return jobId;
}

async function queuedJobs(master: ServedMaster): Promise<unknown> {
  const health = (await (await fetch(`${master.url}/health`)).json()) as Record<string, unknown>;
  return health["queued_jobs"];
}

describe("a job that another program has taken", () => {
  it("is let go when its time is over, and not tried to end for ever", async () => {
    await using master = await serveMaster();
    await takeBehindBack(master, { queueTimeoutSeconds: 1 });
    expect(await queuedJobs(master)).toBe(1);
    await expect.poll(() => queuedJobs(master), { timeout: 5_000 }).toBe(0);
  });

  it("is let go by a cancel", async () => {
    await using master = await serveMaster();
    const jobId = await takeBehindBack(master);
    await expect(master.client.cancel(jobId)).rejects.toMatchObject({ code: "STATE_CONFLICT" });
    expect(await queuedJobs(master)).toBe(0);
  });
});
