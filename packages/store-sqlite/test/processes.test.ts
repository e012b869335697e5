import { sampleJob } from "@longshore/testkit";
import { describe, expect, it, vi } from "vitest";
import { sqliteJobStore } from "../src/index.ts";
import { createStoreDirectory, startStoreProcess } from "./store-process.ts";

const patience = { timeout: 60_000 };

describe("several processes on one file", { timeout: 120_000 }, () => {
  it("lose nothing of what each of them writes at the same time", async () => {
    await using directory = await createStoreDirectory();
    const path = directory.file();
    const count = 400;
    await using a = startStoreProcess({ mode: "live", path, name: "a", count });
    await using b = startStoreProcess({ mode: "live", path, name: "b", count });
    await using c = startStoreProcess({ mode: "live", path, name: "c", count });
    expect(await Promise.all([a.ended, b.ended, c.ended])).toEqual([0, 0, 0]);
    await using store = sqliteJobStore({ path });
    expect(await store.countByState()).toMatchObject({ completed: 3 * count, queued: 0 });
    for (const [name, { jobsThat }] of Object.entries({ a, b, c })) {
      expect(jobsThat("completed")).toHaveLength(count);
      const record = await store.get(jobsThat("completed")[0] ?? "");
      expect(record).toMatchObject({ owner: name, state: "completed" });
    }
  });

  it("let one of them win each job that all of them want", async () => {
    await using directory = await createStoreDirectory();
    const path = directory.file();
    await using store = sqliteJobStore({ path });
    const jobs = Array.from({ length: 300 }, () => sampleJob("shared"));
    await Promise.all(jobs.map((job) => store.insert(job)));
    await using a = startStoreProcess({ mode: "race", path, name: "a" });
    await using b = startStoreProcess({ mode: "race", path, name: "b" });
    const racers = { a, b };
    for (const { jobsThat } of [a, b]) {
      await vi.waitFor(() => expect(jobsThat("ready")).toHaveLength(1), patience);
    }
    for (const { go } of [a, b]) go();
    expect(await Promise.all([a.ended, b.ended])).toEqual([0, 0]);
    const won = [...a.jobsThat("won"), ...b.jobsThat("won")];
    expect(won.toSorted()).toEqual(jobs.map(({ document }) => document.jobId).toSorted());
    for (const [name, { jobsThat }] of Object.entries(racers)) {
      for (const jobId of jobsThat("won")) {
        expect(await store.get(jobId)).toMatchObject({ state: "assigned", owner: name });
      }
    }
  });

  it("keep every promise they made before they were killed", async () => {
    await using directory = await createStoreDirectory();
    const path = directory.file();
    for (const atLeast of [1, 60, 250, 600]) {
      await using victim = startStoreProcess({ mode: "live", path, name: "v", count: 1e9 });
      await vi.waitFor(
        () => expect(victim.jobsThat("inserted").length).toBeGreaterThanOrEqual(atLeast),
        { ...patience, interval: 1 },
      );
      await victim.kill();
      await using store = sqliteJobStore({ path });
      const completed = new Set(victim.jobsThat("completed"));
      const running = new Set(victim.jobsThat("running"));
      for (const jobId of victim.jobsThat("inserted")) {
        const record = await store.get(jobId);
        expect(record, `${jobId} is lost`).toBeDefined();
        if (completed.has(jobId)) expect(record?.result?.status).toBe("completed");
        if (running.has(jobId)) expect(["running", "completed"]).toContain(record?.state);
      }
    }
  });

  it("end by themselves when an open store has nothing to do, and not before it answered", async () => {
    await using directory = await createStoreDirectory();
    // The path is relative, and the process goes elsewhere before the thread has opened the file.
    await using child = startStoreProcess({
      mode: "leave-open",
      path: "jobs.db",
      name: "a",
      cwd: directory.path,
    });
    expect(await child.ended).toBe(0);
    await using store = sqliteJobStore({ path: directory.file() });
    const [jobId = ""] = child.jobsThat("inserted");
    expect(await store.get(jobId)).toMatchObject({ state: "queued" });
  });

  it("do not end before a store that they close is closed", async () => {
    await using directory = await createStoreDirectory();
    const path = directory.file();
    await using child = startStoreProcess({ mode: "close-busy", path, name: "a" });
    expect(await child.ended).toBe(0);
    expect(child.jobsThat("closed")).toHaveLength(1);
  });
});
