import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeJobDocument, type JobDelivery } from "@longshore/core";
import { sqliteJobStore } from "@longshore/store-sqlite";
import { recordingSink, sampleDocument, sampleResult } from "@longshore/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { httpPollingTransport } from "../src/index.ts";
import { createWorkerClient } from "../src/client/worker-client.ts";
import { collect } from "./fixtures/collect.ts";
import { serveMaster } from "./fixtures/served-master.ts";
import { startProgram } from "./fixtures/polling-program.ts";

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "longshore-poll-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** Answers that are on the disk whole */
const answers = async (worker: string): Promise<readonly string[]> => {
  const names = await readdir(join(directory, worker, "answers")).catch(() => []);
  return names.filter((name) => !name.startsWith("."));
};
const runs = async (): Promise<readonly string[]> =>
  (await readFile(join(directory, "runs"), "utf8").catch(() => "")).split("\n").filter(Boolean);

describe("a result", () => {
  it("waits on the disk while the master is down, and arrives when it is up", async () => {
    await using master = await serveMaster();
    await using transport = master.open({ directory: join(directory, "w1") });
    const sink = recordingSink();
    await transport.start(sink, { workerId: "w1" });
    const document = sampleDocument();
    await master.client.submitDocument(encodeJobDocument(document));
    const { leaseId } = await sink.nth(1);
    await master.stop();
    await transport.ack(leaseId, sampleResult(document));
    expect(await answers("w1")).toHaveLength(1);
    expect(await transport.health()).toMatchObject({ status: "degraded" });
    await master.start();
    expect(await master.client.result(document.jobId)).toMatchObject({ status: "completed" });
    await expect.poll(() => answers("w1")).toEqual([]);
    await expect.poll(() => transport.health()).toEqual({ status: "ok" });
    // The same worker goes on with other jobs.
    const next = sampleDocument();
    await master.client.submitDocument(encodeJobDocument(next));
    expect((await sink.nth(2)).name).toBe(next.jobId);
  });

  it("is taken once when the answer to it was lost on the way back", async () => {
    await using master = await serveMaster();
    let lost = 0;
    await using transport = master.open({
      fetch: async (input, init) => {
        const response = await fetch(input, init);
        if (!new Request(input).url.endsWith("/ack") || lost > 0) return response;
        lost += 1;
        throw new TypeError("fetch failed");
      },
    });
    const sink = recordingSink();
    await transport.start(sink, { workerId: "w1" });
    const document = sampleDocument();
    await master.client.submitDocument(encodeJobDocument(document));
    const { leaseId } = await sink.nth(1);
    await transport.ack(leaseId, sampleResult(document));
    await expect.poll(() => transport.health()).toEqual({ status: "ok" });
    expect(lost).toBe(1);
    const again = await fetch(`${master.url}/leases/${encodeURIComponent(leaseId)}/ack`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ result: await resultOf(master.url, document.jobId) }),
    });
    expect(await again.json()).toEqual({
      job_id: document.jobId,
      state: "completed",
      repeated: true,
    });
    const story = await collect(master.client.events(document.jobId));
    expect(story.filter(({ phase }) => phase === "completed")).toHaveLength(1);
  });

  it("of a job that ended before its worker did goes out while the next one starts", async () => {
    await using master = await serveMaster({ graceMs: 60_000 });
    const document = sampleDocument();
    const place = { directory: join(directory, "w1") };
    {
      await using transport = master.open(place);
      const sink = recordingSink();
      await transport.start(sink, { workerId: "w1" });
      await master.client.submitDocument(encodeJobDocument(document));
      await sink.nth(1);
    }
    await using transport = master.open(place);
    const deliver = ({ leaseId }: JobDelivery): Promise<void> =>
      transport.ack(leaseId, sampleResult(document));
    await transport.start({ ...recordingSink(), deliver }, { workerId: "w1" });
    expect(await master.client.result(document.jobId)).toMatchObject({ status: "completed" });
  });

  it("survives kill -9 of the worker before the master has it, without a second run", async () => {
    await using master = await serveMaster({ graceMs: 60_000 });
    const { jobId } = await master.client.submit({ operation: "test.mark-offline" });
    const args = ["polling-worker.ts", "w1", master.url, directory] as const;
    {
      await using worker = startProgram(...args, "memory");
      // The job ends when the master has gone away: what comes of it has to wait.
      await expect
        .poll(async () => (await master.client.get(jobId)).workerId, {
          interval: 5,
          timeout: 30_000,
        })
        .toBe("w1");
      await master.stop();
      await expect.poll(() => answers("w1")).toHaveLength(1);
      await worker.kill();
    }
    expect(await runs()).toEqual([jobId]);
    await master.start();
    // A second run would wait for a master that is gone, in vain.
    await using worker = startProgram(...args, "memory");
    expect(await master.client.result(jobId)).toMatchObject({
      status: "completed",
      data: { ranOn: "w1" },
    });
    await worker.first();
    expect(await runs()).toEqual([jobId]);
    await expect.poll(() => answers("w1")).toEqual([]);
  });

  it("survives kill -9 of the master right after its ack", async () => {
    const path = join(directory, "jobs.db");
    const document = sampleDocument();
    {
      await using master = startProgram("polling-master.ts", path, "0");
      const url = await master.first();
      await createWorkerClient(url).submitDocument(encodeJobDocument(document));
      await using transport = httpPollingTransport({ url, directory: join(directory, "w1") });
      const sink = recordingSink();
      await transport.start(sink, { workerId: "w1" });
      const { leaseId } = await sink.nth(1);
      await transport.ack(leaseId, sampleResult(document));
      await master.kill();
    }
    await using store = sqliteJobStore({ path, keepEvents: true });
    expect(await store.get(document.jobId)).toMatchObject({
      state: "completed",
      result: { data: { answer: document.jobId } },
    });
  });
});

describe("a master that is started again", () => {
  it("leaves jobs with the workers that have them, and goes on with the others", async () => {
    await using master = await serveMaster();
    await using transport = master.open({ leaseMs: 1_000 });
    const sink = recordingSink();
    await transport.start(sink, { workerId: "w1" });
    const held = sampleDocument();
    await master.client.submitDocument(encodeJobDocument(held));
    const { leaseId } = await sink.nth(1);
    await transport.pause();
    const waiting = sampleDocument();
    await master.client.submitDocument(encodeJobDocument(waiting));
    await master.stop();
    await master.start();
    await using other = master.open();
    const otherSink = recordingSink();
    await other.start(otherSink, { workerId: "w2" });
    expect((await otherSink.nth(1)).name).toBe(waiting.jobId);
    await transport.extend(leaseId);
    await transport.ack(leaseId, sampleResult(held));
    expect(await master.client.result(held.jobId)).toMatchObject({ status: "completed" });
    expect(sink.lostLeases).toEqual([]);
    expect(otherSink.deliveries).toHaveLength(1);
  });
});

async function resultOf(url: string, jobId: string): Promise<unknown> {
  return (await fetch(`${url}/jobs/${jobId}/result`)).json();
}
