import { link, mkdir, readdir, rename, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeJobResult } from "@longshore/core";
import { recordingSink, sampleDocument, sampleResult } from "@longshore/testkit";
import { describe, expect, it, vi } from "vitest";
import { durableFiles } from "../src/durable-files.ts";
import { directCalls, threadedCalls } from "../src/file-calls.ts";
import { createJobsDirectory, toJson } from "./jobs-directory.ts";

describe.each([
  { kind: "direct", calls: directCalls },
  { kind: "threaded", calls: threadedCalls },
])("files written in groups with $kind calls", ({ calls }) => {
  it("are each whole, and leave nothing else", async () => {
    await using directory = await createJobsDirectory();
    const files = durableFiles(calls);
    const count = 400;
    await Promise.all(
      Array.from({ length: count }, (_, number) =>
        files.write(join(directory.resultsDir, `${number}.json`), `"${number}"`.repeat(100)),
      ),
    );
    expect(await readdir(directory.resultsDir)).toHaveLength(count);
    expect(await directory.read("results", "123.json")).toBe('"123"'.repeat(100));
  });

  it("fail one by one", async () => {
    await using directory = await createJobsDirectory();
    const files = durableFiles(calls);
    const outcomes = await Promise.allSettled([
      files.write(join(directory.resultsDir, "a"), "a"),
      files.write(join(directory.root, "nowhere", "b"), "b"),
      files.write(join(directory.resultsDir, "c"), "c"),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(outcomes[1]).toMatchObject({ reason: { code: "ENOENT" } });
    expect(await readdir(directory.resultsDir)).toEqual(["a", "c"]);
  });
});

describe("an answer", () => {
  it("that was half put away by a worker that died is put away under the same names", async () => {
    await using directory = await createJobsDirectory();
    const { jobsDir } = directory;
    const documents = [sampleDocument(), sampleDocument()] as const;
    const claimed = join(jobsDir, ".claimed", "w1");
    for (const name of [".claimed", "done", "failed"]) await mkdir(join(jobsDir, name));
    await mkdir(claimed);
    for (const [index, name] of ["done", "failed"].entries()) {
      const path = join(claimed, `1~00000000000${index}~job.json`);
      await writeFile(path, toJson(documents[index] ?? documents[0]));
      await link(path, join(jobsDir, name, "job.json"));
    }
    await writeFile(join(jobsDir, "failed", "job.error.json"), "{}");
    await using transport = directory.open();
    const sink = recordingSink();
    await transport.start(sink, { workerId: "w1" });
    expect(sink.deliveries).toHaveLength(2);
    for (const { leaseId, body } of sink.deliveries) {
      const isFirst = Buffer.from(body).includes(documents[0].jobId);
      await transport.ack(
        leaseId,
        isFirst ? sampleResult(documents[0]) : sampleResult(documents[1], "failed"),
      );
    }
    expect(await directory.names("jobs", "done")).toEqual(["job.json"]);
    expect(await directory.names("jobs", "failed")).toEqual([
      "job.error.json",
      "job.json",
      "job.reason.txt",
    ]);
    expect(await directory.names("jobs", ".claimed", "w1")).toEqual([]);
  });

  it("waits for a directory that is missing, and the message stays", async () => {
    await using directory = await createJobsDirectory();
    await using transport = directory.open();
    const sink = recordingSink();
    await transport.start(sink, { workerId: "w1" });
    const document = sampleDocument();
    await directory.put("job.json", toJson(document));
    const { leaseId } = await sink.nth(1);
    const done = join(directory.jobsDir, "done");
    await rename(done, `${done}.away`);
    await expect(transport.ack(leaseId, sampleResult(document))).rejects.toMatchObject({
      code: "TRANSPORT_ERROR",
    });
    expect(await directory.names("jobs", ".claimed", "w1")).toHaveLength(1);
    await rename(`${done}.away`, done);
    await transport.ack(leaseId, sampleResult(document));
    expect(await directory.names("jobs", "done")).toEqual(["job.json"]);
    const text = await directory.read("results", `${document.jobId}-result.json`);
    expect(decodeJobResult(JSON.parse(text)).jobId).toBe(document.jobId);
  });

  it("whose writer died half-way leaves a temporary file that goes with a later start", async () => {
    await using directory = await createJobsDirectory();
    const old = join(directory.resultsDir, ".0e34eaa2-2a2c-4ba9-a4a8-5a6c4b4e3f10.tmp");
    const fresh = join(directory.resultsDir, ".1e34eaa2-2a2c-4ba9-a4a8-5a6c4b4e3f10.tmp");
    await writeFile(old, "{");
    await writeFile(fresh, "{");
    await utimes(old, 1, 1);
    await using transport = directory.open();
    await transport.start(recordingSink(), { workerId: "w1" });
    expect(await readdir(directory.resultsDir)).toEqual([
      ".1e34eaa2-2a2c-4ba9-a4a8-5a6c4b4e3f10.tmp",
    ]);
  });
});

describe("a claim", () => {
  it("is forgotten with its lease, for good", async () => {
    await using directory = await createJobsDirectory();
    await using transport = directory.open();
    const sink = recordingSink();
    await transport.start(sink, { workerId: "w1" });
    const document = sampleDocument();
    await directory.put("job.json", toJson(document));
    const { leaseId } = await sink.nth(1);
    await rm(join(directory.jobsDir, ".claimed", "w1", leaseId));
    await expect(transport.extend(leaseId)).rejects.toMatchObject({ code: "LEASE_LOST" });
    await expect(transport.ack(leaseId, sampleResult(document))).rejects.toMatchObject({
      code: "LEASE_LOST",
    });
    expect(await directory.names("results")).toEqual([]);
  });

  it("is delivered by priority, then by age, then by name when many wait at the start", async () => {
    await using directory = await createJobsDirectory();
    const wanted = [
      { name: "d.json", priority: 9, createdAt: "2026-01-02T00:00:00.000Z" },
      { name: "c.json", priority: 5, createdAt: "2026-01-01T00:00:00.000Z" },
      { name: "a.json", priority: 5, createdAt: "2026-01-03T00:00:00.000Z" },
      { name: "b.json", priority: 5, createdAt: "2026-01-03T00:00:00.000Z" },
      { name: "0.json", priority: 1, createdAt: "2026-01-01T00:00:00.000Z" },
    ];
    for (const { name, priority, createdAt } of wanted.toReversed()) {
      const document = sampleDocument({ execution: { priority } });
      await directory.put(name, toJson({ ...document, createdAt }));
    }
    await using transport = directory.open({ prefetch: 1 });
    const sink = recordingSink();
    await transport.start(sink, { workerId: "w1" });
    await sink.nth(wanted.length);
    expect(sink.deliveries.map(({ name }) => name)).toEqual(wanted.map(({ name }) => name));
  });

  it("that could not be delivered for a while is found again", async () => {
    await using directory = await createJobsDirectory();
    await using transport = directory.open({ leaseMs: 300 });
    const sink = recordingSink();
    await transport.start(sink, { workerId: "w1" });
    const document = sampleDocument();
    const path = join(directory.jobsDir, ".claimed", "w1", "1~0123456789ab~job.json");
    await writeFile(path, toJson(document));
    await utimes(path, 1, 1);
    expect((await sink.nth(1)).name).toBe("job.json");
    await vi.waitFor(() => expect(sink.deliveries).toHaveLength(1), { timeout: 20_000 });
  });
});
