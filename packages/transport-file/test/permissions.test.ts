import { chmod, chown, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { recordingSink, sampleDocument, sampleResult } from "@longshore/testkit";
import { describe, expect, it } from "vitest";
import { createJobsDirectory, toJson } from "./jobs-directory.ts";

const isRoot = process.geteuid?.() === 0;
const nobody = 65_534;

/** Runs as a user whom permissions hold back. Root is one for that long. */
async function asOrdinaryUser(run: () => Promise<void>): Promise<void> {
  if (!isRoot) return await run();
  process.seteuid?.(nobody);
  try {
    await run();
  } finally {
    process.seteuid?.(0);
  }
}

describe("a directory that is read-only", () => {
  it("stops the start with an error that names it: the inbox", async () => {
    await using directory = await createJobsDirectory();
    await chmod(directory.jobsDir, 0o555);
    await asOrdinaryUser(async () => {
      await using transport = directory.open();
      await expect(transport.start(recordingSink(), { workerId: "w1" })).rejects.toMatchObject({
        code: "TRANSPORT_ERROR",
        message: expect.stringMatching(/jobs.*(permission denied|EACCES)/s) as string,
      });
    });
    await chmod(directory.jobsDir, 0o755);
  });

  it("stops the start with an error that names it: the results", async () => {
    await using directory = await createJobsDirectory();
    await chmod(directory.jobsDir, 0o777);
    await chmod(directory.resultsDir, 0o555);
    await asOrdinaryUser(async () => {
      await using transport = directory.open();
      await expect(transport.start(recordingSink(), { workerId: "w1" })).rejects.toMatchObject({
        code: "TRANSPORT_ERROR",
        message: expect.stringContaining(
          `${directory.resultsDir} must be readable and writable`,
        ) as string,
      });
    });
  });

  it("makes a running transport unhealthy, whose answers wait for a better day", async () => {
    await using directory = await createJobsDirectory();
    const { jobsDir, resultsDir } = directory;
    await chmod(jobsDir, 0o777);
    await chmod(resultsDir, 0o777);
    await asOrdinaryUser(async () => {
      await using transport = directory.open();
      const sink = recordingSink();
      await transport.start(sink, { workerId: "w1" });
      const document = sampleDocument();
      await writeFile(join(jobsDir, "job.json"), toJson(document));
      const { leaseId } = await sink.nth(1);
      if (isRoot) process.seteuid?.(0);
      await chmod(resultsDir, 0o555);
      if (isRoot) process.seteuid?.(nobody);
      expect(await transport.health()).toMatchObject({
        status: "unhealthy",
        message: expect.stringContaining(resultsDir) as string,
      });
      await expect(transport.ack(leaseId, sampleResult(document))).rejects.toMatchObject({
        code: "TRANSPORT_ERROR",
      });
      if (isRoot) process.seteuid?.(0);
      await chmod(resultsDir, 0o777);
      if (isRoot) process.seteuid?.(nobody);
      await transport.ack(leaseId, sampleResult(document));
      expect(await directory.names("results")).toEqual([`${document.jobId}-result.json`]);
      expect(await transport.health()).toEqual({ status: "ok" });
    });
  });
});

// Only root can make files that belong to somebody else.
describe.skipIf(!isRoot)("a job file of another user (needs root)", () => {
  it("is copied when it is claimed, so that it can be leased, given back and put away", async () => {
    await using directory = await createJobsDirectory();
    const { jobsDir, resultsDir } = directory;
    await chown(jobsDir, nobody, nobody);
    await chown(resultsDir, nobody, nobody);
    const document = sampleDocument();
    await directory.put("job.json", toJson(document));
    await asOrdinaryUser(async () => {
      await using transport = directory.open();
      const sink = recordingSink();
      await transport.start(sink, { workerId: "w1" });
      const first = await sink.nth(1);
      await transport.extend(first.leaseId);
      await transport.nack(
        first.leaseId,
        { code: "IO_ERROR", message: "later", recoverable: true, retryRecommended: true },
        { requeue: true },
      );
      const second = await sink.nth(2);
      expect(second.attempt).toBe(2);
      await transport.ack(second.leaseId, sampleResult(document));
    });
    expect(await directory.names("jobs", "done")).toEqual(["job.json"]);
    expect((await stat(join(jobsDir, "done", "job.json"))).uid).toBe(nobody);
    expect(await directory.read("jobs", "done", "job.json")).toBe(toJson(document));
  });

  it("is refused when it cannot be read", async () => {
    await using directory = await createJobsDirectory();
    const { jobsDir, resultsDir } = directory;
    await chown(jobsDir, nobody, nobody);
    await chown(resultsDir, nobody, nobody);
    await writeFile(join(jobsDir, "secret.json"), toJson(sampleDocument()), { mode: 0o600 });
    await asOrdinaryUser(async () => {
      await using transport = directory.open();
      const sink = recordingSink();
      await transport.start(sink, { workerId: "w1" });
      await expect
        .poll(() => directory.names("jobs", "failed"))
        .toEqual(["secret.error.json", "secret.json", "secret.reason.txt"]);
      expect(sink.deliveries).toEqual([]);
    });
    expect(await directory.names("jobs")).toEqual(["cancel", "done", "failed"]);
  });
});
