import { open } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { allowAllPolicy, echoHandler, startWorker } from "@longshore/core";
import { recordingSink, sampleDocument, sampleResult } from "@longshore/testkit";
import { describe, expect, it, vi } from "vitest";
import { createJobsDirectory, toJson, type JobsDirectory } from "./jobs-directory.ts";

const pieces = 12;
/** The pace of the writer is what is tested; even on a slow machine it stays well below the stability time */
const pauseMs = 40;
const stabilityMs = 1_500;

describe.concurrent.each([
  { mode: "events", usePolling: false },
  { mode: "polling", usePolling: true },
])("F10: a job file that is still being written, found by $mode", ({ usePolling }) => {
  const options = { usePolling, pollIntervalMs: 20, stabilityMs };

  it.each([
    { kind: "JSON", name: "slow.json" },
    { kind: "YAML", name: "slow.yaml" },
  ])("is never taken half: $kind", async ({ name }) => {
    await using directory = await createJobsDirectory();
    await using transport = directory.open(options);
    const sink = recordingSink();
    await transport.start(sink, { workerId: "w1" });
    const text = toJson(sampleDocument());
    await writeSlowly(join(directory.jobsDir, name), text, async () => {
      expect(sink.deliveries).toEqual([]);
      expect(await directory.names("jobs", "failed")).toEqual([]);
    });
    expect(Buffer.from((await sink.nth(1)).body).toString()).toBe(text);
    expect(sink.deliveries).toHaveLength(1);
  });

  it("is not taken half at the start of a worker either", async () => {
    await using directory = await createJobsDirectory();
    const text = toJson(sampleDocument());
    const path = join(directory.jobsDir, "early.yaml");
    await using file = await open(path, "wx");
    await file.write(text.slice(0, 20));
    await using transport = directory.open(options);
    const sink = recordingSink();
    await transport.start(sink, { workerId: "w1" });
    await directory.put("other.json", toJson(sampleDocument()));
    expect((await sink.nth(1)).name).toBe("other.json");
    await file.write(text.slice(20));
    expect(Buffer.from((await sink.nth(2)).body).toString()).toBe(text);
  });
});

describe.concurrent("F10: a job file", () => {
  it("is not taken empty when its permissions are set before it is written", async () => {
    await using directory = await createJobsDirectory();
    await using transport = directory.open({ stabilityMs });
    const sink = recordingSink();
    await transport.start(sink, { workerId: "w1" });
    const text = toJson(sampleDocument());
    await using file = await open(join(directory.jobsDir, "secret.yaml"), "wx");
    for (const piece of [text.slice(0, 30), text.slice(30)]) {
      // Later than the clock of the file system ticks: the change of status is newer than the content.
      await pause(pauseMs);
      await file.chmod(0o600);
      await pause(pauseMs);
      expect(sink.deliveries).toEqual([]);
      await file.write(piece);
    }
    expect(Buffer.from((await sink.nth(1)).body).toString()).toBe(text);
  });

  it.each([".job.json", "job.json.tmp", "job.json.partial", "job.txt"])(
    "is left alone under the name %s, and taken once it is renamed",
    async (name) => {
      await using directory = await createJobsDirectory();
      await using transport = directory.open();
      const sink = recordingSink();
      await transport.start(sink, { workerId: "w1" });
      const text = toJson(sampleDocument());
      await directory.put(name, text);
      await directory.put("after.json", toJson(sampleDocument()));
      expect((await sink.nth(1)).name).toBe("after.json");
      await directory.put("job.json", text);
      expect((await sink.nth(2)).name).toBe("job.json");
      expect(sink.deliveries).toHaveLength(2);
    },
  );

  it("need not be named after its job to be put away", async () => {
    await using directory = await createJobsDirectory();
    await using transport = directory.open();
    const sink = recordingSink();
    await transport.start(sink, { workerId: "w1" });
    const document = sampleDocument();
    await directory.put("whatever.json", toJson(document));
    await transport.ack((await sink.nth(1)).leaseId, sampleResult(document));
    expect(await directory.names("jobs", "done")).toEqual(["whatever.json"]);
    expect(await directory.names("results")).toEqual([`${document.jobId}-result.json`]);
    await expectNothingWaits(directory);
  });

  it("that is none goes to failed/ with the reason, and holds up no other", async () => {
    await using directory = await createJobsDirectory();
    await using _worker = await startWorker({
      id: "w1",
      policy: allowAllPolicy(),
      handlers: [echoHandler],
      transports: [directory.open({ stabilityMs: 20 })],
    });
    await directory.put("broken.json", '{"job_id": "half');
    const document = sampleDocument({ operation: "system.echo", data: "hello" });
    await directory.put("good.json", toJson(document));
    await vi.waitFor(
      async () => {
        expect(await directory.names("results")).toEqual([`${document.jobId}-result.json`]);
        expect(await directory.names("jobs", "done")).toEqual(["good.json"]);
      },
      { timeout: 20_000 },
    );
    await vi.waitFor(
      async () => {
        expect(await directory.names("jobs", "failed")).toEqual([
          "broken.error.json",
          "broken.json",
          "broken.reason.txt",
        ]);
      },
      { timeout: 20_000 },
    );
    expect(JSON.parse(await directory.read("jobs", "failed", "broken.error.json"))).toMatchObject({
      code: "INVALID_BODY",
    });
    await vi.waitFor(() => expectNothingWaits(directory), { timeout: 20_000 });
  });
});

async function writeSlowly(path: string, text: string, check: () => Promise<void>): Promise<void> {
  await using file = await open(path, "wx");
  const length = Math.ceil(text.length / pieces);
  for (let offset = 0; offset < text.length; offset += length) {
    await check();
    await file.write(text.slice(offset, offset + length));
    await pause(pauseMs);
  }
}

async function expectNothingWaits(directory: JobsDirectory): Promise<void> {
  const directories = ["cancel", "done", "failed"];
  expect(await directory.names("jobs")).toEqual(directories);
  expect(await directory.names("jobs", ".claimed", "w1")).toEqual([]);
}
