import { jobStates, type JobRecord, type JobStore, type NewJob } from "@longshore/core";
import { expect } from "vitest";
import { sampleJob } from "../sample-job.ts";
import { bring, lead, owner, type Check } from "./job-steps.ts";

/** Reading and pruning. */
export function declareQueries(check: Check): void {
  check("lists every record once, page by page, in both orders", async (store) => {
    const base = Date.now();
    const jobs = Array.from({ length: 25 }, (_, index) => ({
      ...sampleJob(owner),
      acceptedAtMs: base + Math.floor(index / 3),
    }));
    for (const job of jobs) await store.insert(job);
    const ids = jobs.map(({ document }) => document.jobId);
    for (const order of ["oldest", "newest"] as const) {
      const seen: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await store.list({ order, limit: 4, cursor });
        expect(page.records.length).toBeLessThanOrEqual(4);
        seen.push(...page.records.map(({ jobId }) => jobId));
        // What comes between two pages must not move those that are there.
        if (order === "newest")
          await store.insert({ ...sampleJob(owner), acceptedAtMs: base + 100 });
        cursor = page.nextCursor;
      } while (cursor !== undefined);
      const known = seen.filter((jobId) => ids.includes(jobId));
      expect(known).toEqual(order === "oldest" ? ids : ids.toReversed());
    }
  });

  check("lists what was asked for", async (store) => {
    const odd = sampleJob(owner, {
      operation: "test.odd",
      metadata: { namespace: "n", labels: { "example.com/tier": "gold", b: "2" } },
    });
    await store.insert(odd);
    const plain = sampleJob(owner);
    await bring(store, plain, "running");
    const ids = async (query: Parameters<JobStore["list"]>[0]): Promise<readonly string[]> =>
      (await store.list(query)).records.map(({ jobId }) => jobId);
    const oddId = odd.document.jobId;
    const plainId = plain.document.jobId;
    expect(await ids({ states: ["running"] })).toEqual([plainId]);
    expect(await ids({ states: ["queued", "running"] })).toHaveLength(2);
    expect(await ids({ states: [] })).toEqual([]);
    expect(await ids({ operation: "test.odd" })).toEqual([oddId]);
    expect(await ids({ namespace: "n" })).toEqual([oddId]);
    expect(await ids({ namespace: "default" })).toEqual([plainId]);
    expect(await ids({ labels: { "example.com/tier": "gold", b: "2" } })).toEqual([oddId]);
    expect(await ids({ labels: { b: "3" } })).toEqual([]);
  });

  check("refuses a limit or cursor that is not one", async (store) => {
    for (const query of [{ limit: 0 }, { limit: 501 }, { limit: 1.5 }, { cursor: "nonsense" }]) {
      await expect(store.list(query)).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    }
    await expect(
      store.list({}, { signal: AbortSignal.abort(new Error("enough")) }),
    ).rejects.toThrow("enough");
  });

  check("counts jobs by state", async (store) => {
    await store.insert(sampleJob(owner));
    await store.insert(sampleJob(owner));
    await bring(store, sampleJob(owner), "failed");
    expect(await store.countByState()).toEqual({
      ...Object.fromEntries(jobStates.map((state) => [state, 0])),
      queued: 2,
      failed: 1,
    });
  });

  check("counts what was asked for, by namespace and operation", async (store) => {
    const labels = { tier: "gold" };
    for (const namespace of ["a", "a", "b"]) {
      await store.insert(sampleJob(owner, { metadata: { namespace, labels } }));
    }
    await store.insert(sampleJob(owner, { operation: "test.odd" }));
    await bring(store, sampleJob(owner), "failed");
    const counts = async (query: Parameters<JobStore["count"]>[0]): Promise<readonly string[]> =>
      (await store.count(query))
        .map(({ namespace, operation, count }) => `${count} of ${namespace}/${operation}`)
        .toSorted();
    expect(await counts({})).toEqual([
      "1 of b/test.sample",
      "1 of default/test.odd",
      "1 of default/test.sample",
      "2 of a/test.sample",
    ]);
    expect(await counts({ states: ["failed"] })).toEqual(["1 of default/test.sample"]);
    expect(await counts({ namespace: "a", labels })).toEqual(["2 of a/test.sample"]);
    expect(await counts({ labels: { tier: "silver" } })).toEqual([]);
  });

  check("prunes what ended before a time, and nothing else", async (store) => {
    const [old, recent, open] = [sampleJob(owner), sampleJob(owner), sampleJob(owner)];
    await store.insert(old);
    await lead(store, old, { state: "completed", finishedAtMs: 1_000 });
    await store.insert(recent);
    await lead(store, recent, { state: "completed", finishedAtMs: 3_000 });
    await store.insert(open);
    expect(await store.prune({ finishedBeforeMs: 2_000 })).toBe(1);
    expect(await store.get(old.document.jobId)).toBeUndefined();
    expect((await store.list()).records).toHaveLength(2);
    const ids = [old, recent, open].map(({ document }) => document.jobId);
    const wasPruned = await Promise.all([...ids, "nobody"].map((id) => store.wasPruned(id)));
    expect(wasPruned).toEqual([true, false, false, false]);
    await store.insert(old);
    await lead(store, old, { state: "completed", finishedAtMs: 1_000 });
    expect(await store.prune({ finishedBeforeMs: 2_000 })).toBe(1);
    expect(await store.wasPruned(old.document.jobId)).toBe(true);
  });
}

/** Leases and take-over. */
export function declareLeases(check: Check): void {
  const lists = (records: readonly JobRecord[]): readonly string[] =>
    records.map(({ jobId }) => jobId);

  check("hands its own unfinished records to a worker that comes back", async (store) => {
    const jobs = [sampleJob(owner), sampleJob(owner), sampleJob(owner)] as const;
    await store.insert(jobs[0]);
    await bring(store, jobs[1], "running");
    await bring(store, jobs[2], "completed");
    const nowMs = Date.now();
    const records = await store.recover({ owner, nowMs, leaseExpiresAtMs: nowMs + 5 });
    expect(lists(records)).toEqual([jobs[0].document.jobId, jobs[1].document.jobId]);
    expect(records.map(({ state }) => state)).toEqual(["queued", "running"]);
    expect(records.every(({ leaseExpiresAtMs }) => leaseExpiresAtMs === nowMs + 5)).toBe(true);
  });

  check(
    "takes over what another worker's expired lease left, but no transport's",
    async (store) => {
      const nowMs = Date.now();
      const live = { ...sampleJob("other"), leaseExpiresAtMs: nowMs + 1_000 };
      const dead = { ...sampleJob("other"), leaseExpiresAtMs: nowMs - 1 };
      const leased: NewJob = {
        ...sampleJob("other"),
        leaseExpiresAtMs: nowMs - 1,
        source: { transport: "t", name: "m" },
        documentDigest: "d",
      };
      for (const job of [live, dead, leased]) await store.insert(job);
      const take = { owner, nowMs, leaseExpiresAtMs: nowMs + 1_000 };
      expect(lists(await store.recover(take))).toEqual([dead.document.jobId]);
      expect(await store.get(dead.document.jobId)).toMatchObject({ owner });
      const named = await store.recover({ ...take, jobId: leased.document.jobId });
      expect(lists(named)).toEqual([leased.document.jobId]);
      expect(await store.recover({ ...take, jobId: live.document.jobId })).toEqual([]);
      expect((await store.get(live.document.jobId))?.owner).toBe("other");
    },
  );

  check("lets one of two workers take an expired record over", async (store) => {
    const nowMs = Date.now();
    await store.insert({ ...sampleJob("dead"), leaseExpiresAtMs: nowMs - 1 });
    const taken = await Promise.all(
      ["a", "b"].map((heir) =>
        store.recover({ owner: heir, nowMs, leaseExpiresAtMs: nowMs + 60_000 }),
      ),
    );
    expect(taken.flat()).toHaveLength(1);
  });

  check("renews the leases of one owner's unfinished records", async (store) => {
    const mine = sampleJob(owner);
    const theirs = sampleJob("other");
    await store.insert(mine);
    await store.insert(theirs);
    await store.renewLeases(owner, 77);
    expect((await store.get(mine.document.jobId))?.leaseExpiresAtMs).toBe(77);
    expect((await store.get(theirs.document.jobId))?.leaseExpiresAtMs).toBe(
      theirs.leaseExpiresAtMs,
    );
  });
}
