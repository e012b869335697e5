import { mkdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { recordingSink, sampleDocument, sampleResult } from "@longshore/testkit";
import { describe, expect, it, vi } from "vitest";
import { requestCancel } from "../src/index.ts";
import { createJobsDirectory, toJson } from "./jobs-directory.ts";

describe.each([
  { mode: "events", usePolling: false },
  { mode: "polling", usePolling: true },
])("a cancel file, found by $mode", ({ usePolling }) => {
  const options = { usePolling, pollIntervalMs: 20 };

  it("waits for its job, and goes when the job is told", async () => {
    await using directory = await createJobsDirectory();
    const { jobsDir } = directory;
    const document = sampleDocument();
    await requestCancel({ jobsDir, jobId: document.jobId });
    await using transport = directory.open(options);
    const sink = recordingSink();
    await transport.start(sink, { workerId: "w1" });
    await directory.put("any name.json", toJson(document));
    await vi.waitFor(() => expect(sink.cancelled).toEqual([document.jobId]), { timeout: 5_000 });
    await vi.waitFor(async () => expect(await directory.names("jobs", "cancel")).toEqual([]), {
      timeout: 20_000,
    });
    expect(sink.deliveries).toHaveLength(1);
  });

  it("is left for the worker that has the job", async () => {
    await using directory = await createJobsDirectory();
    const { jobsDir } = directory;
    await using holder = directory.open(options);
    const holderSink = recordingSink();
    await holder.start(holderSink, { workerId: "w1" });
    const document = sampleDocument();
    await directory.put("job.json", toJson(document));
    await holderSink.nth(1);
    await using other = directory.open(options);
    const otherSink = recordingSink();
    await other.start(otherSink, { workerId: "w2" });
    await requestCancel({ jobsDir, jobId: document.jobId });
    await vi.waitFor(() => expect(holderSink.cancelled).toEqual([document.jobId]), {
      timeout: 5_000,
    });
    expect(otherSink.cancelled).toEqual([]);
  });

  it("is not handed on for a job that was answered", async () => {
    await using directory = await createJobsDirectory();
    const { jobsDir } = directory;
    await using transport = directory.open(options);
    const sink = recordingSink();
    await transport.start(sink, { workerId: "w1" });
    const [answered, running] = [sampleDocument(), sampleDocument()];
    await directory.put("first.json", toJson(answered));
    await transport.ack((await sink.nth(1)).leaseId, sampleResult(answered));
    await directory.put("second.json", toJson(running));
    await sink.nth(2);
    await requestCancel({ jobsDir, jobId: answered.jobId });
    await requestCancel({ jobsDir, jobId: running.jobId });
    await vi.waitFor(() => expect(sink.cancelled).toEqual([running.jobId]), { timeout: 5_000 });
    expect(await directory.names("jobs", "cancel")).toEqual([answered.jobId]);
  });

  it("goes after an hour when no job came, and is ignored when its name is no job's id", async () => {
    await using directory = await createJobsDirectory();
    const cancelDir = join(directory.jobsDir, "cancel");
    await mkdir(cancelDir);
    for (const name of ["job-old", "job-new", "no id"]) await writeFile(join(cancelDir, name), "");
    const longAgo = Date.now() / 1_000 - 3_601;
    await utimes(join(cancelDir, "job-old"), longAgo, longAgo);
    await utimes(join(cancelDir, "no id"), longAgo, longAgo);
    await using transport = directory.open(options);
    await transport.start(recordingSink(), { workerId: "w1" });
    await vi.waitFor(
      async () => expect(await directory.names("jobs", "cancel")).toEqual(["job-new", "no id"]),
      { timeout: 20_000 },
    );
  });
});
