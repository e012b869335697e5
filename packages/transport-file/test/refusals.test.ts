import { execFileSync } from "node:child_process";
import { mkdir, readFile, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeJobError } from "@longshore/core";
import { recordingSink, sampleDocument, sampleResult } from "@longshore/testkit";
import { describe, expect, it, vi } from "vitest";
import { createJobsDirectory, toJson, type JobsDirectory } from "./jobs-directory.ts";

interface Refused {
  readonly kind: string;
  readonly code: string;
  /** Puts `bad.json` into the inbox */
  make(directory: JobsDirectory): Promise<void>;
}

/** Node makes no named pipes itself */
const pipeMaker = "mkfifo";

const refused: readonly Refused[] = [
  {
    kind: "symbolic link",
    code: "VALIDATION_ERROR",
    async make({ root, jobsDir }) {
      await writeFile(join(root, "target.json"), toJson(sampleDocument()));
      await utimes(join(root, "target.json"), 1_000, 1_000);
      await symlink(join(root, "target.json"), join(jobsDir, "bad.json"));
    },
  },
  {
    kind: "link to nowhere",
    code: "VALIDATION_ERROR",
    async make({ jobsDir }) {
      await symlink("/nowhere/at/all.json", join(jobsDir, "bad.json"));
    },
  },
  {
    kind: "pipe that nobody writes to",
    code: "VALIDATION_ERROR",
    async make({ jobsDir }) {
      execFileSync(pipeMaker, [join(jobsDir, "bad.json")]);
    },
  },
  {
    kind: "directory",
    code: "VALIDATION_ERROR",
    async make({ jobsDir }) {
      await mkdir(join(jobsDir, "bad.json"));
    },
  },
  {
    kind: "file that is too large",
    code: "INVALID_BODY",
    async make({ put }) {
      await put("bad.json", `"${"x".repeat(2_000)}"`);
    },
  },
];

describe.each([
  { mode: "events", usePolling: false },
  { mode: "polling", usePolling: true },
])("what is no job file, found by $mode", ({ usePolling }) => {
  const options = { usePolling, pollIntervalMs: 20, maxPayloadBytes: 1_500 };

  it.each(refused)("is refused with a reason: $kind", async ({ code, make }) => {
    await using directory = await createJobsDirectory();
    await make(directory);
    await using transport = directory.open(options);
    const sink = recordingSink();
    await transport.start(sink, { workerId: "w1" });
    await vi.waitFor(
      async () => {
        expect(await directory.names("jobs", "failed")).toEqual([
          "bad.error.json",
          "bad.json",
          "bad.reason.txt",
        ]);
        expect(await directory.names("jobs", ".claimed", "w1")).toEqual([]);
      },
      { timeout: 5_000 },
    );
    const error = decodeJobError(
      JSON.parse(await directory.read("jobs", "failed", "bad.error.json")),
    );
    expect(error).toMatchObject({ code, recoverable: false });
    expect(await directory.read("jobs", "failed", "bad.reason.txt")).toBe(
      `${code}: ${error.message}\n`,
    );
    expect(sink.deliveries).toEqual([]);
    expect(await directory.names("jobs")).toEqual(["cancel", "done", "failed"]);
  });
});

describe("a refused link", () => {
  it("leaves its target as it is", async () => {
    await using directory = await createJobsDirectory();
    const target = join(directory.root, "target.json");
    await refused[0]?.make(directory);
    const before = await readFile(target, "utf8");
    await using transport = directory.open();
    await transport.start(recordingSink(), { workerId: "w1" });
    await vi.waitFor(
      async () => {
        expect(await directory.names("jobs", "failed")).toContain("bad.error.json");
      },
      { timeout: 20_000 },
    );
    expect(await readFile(target, "utf8")).toBe(before);
    expect((await stat(target)).mtimeMs).toBe(1_000_000);
  });
});

describe("names that are taken", () => {
  it("get a number in done/, also when hundreds are", async () => {
    await using directory = await createJobsDirectory();
    await using transport = directory.open();
    const sink = recordingSink();
    await transport.start(sink, { workerId: "w1" });
    const send = async (number: number): Promise<void> => {
      const document = sampleDocument();
      await directory.put("job.json", toJson(document));
      await transport.ack((await sink.nth(number)).leaseId, sampleResult(document));
    };
    await send(1);
    await send(2);
    expect(await directory.names("jobs", "done")).toEqual(["job-1.json", "job.json"]);
    for (let number = 2; number < 300; number += 1) {
      await writeFile(join(directory.jobsDir, "done", `job-${number}.json`), "");
    }
    await send(3);
    const names = await directory.names("jobs", "done");
    expect(names).toHaveLength(301);
    expect(names).toContain("job-300.json");
  });

  it("get a number in failed/, with a reason for each, also when only the stem is taken", async () => {
    await using directory = await createJobsDirectory();
    await using transport = directory.open();
    const sink = recordingSink();
    await transport.start(sink, { workerId: "w1" });
    const files = ["job.json", "job.json", "job.yaml", "job.error.json"];
    for (const [index, name] of files.entries()) {
      await directory.put(name, toJson(sampleDocument()));
      const { leaseId } = await sink.nth(index + 1);
      const error = {
        code: "VALIDATION_ERROR",
        message: `file ${index}`,
        recoverable: false,
        retryRecommended: false,
      } as const;
      await transport.nack(leaseId, error, { requeue: false });
    }
    const names = await directory.names("jobs", "failed");
    expect(names.filter((name) => name.endsWith(".reason.txt"))).toHaveLength(files.length);
    const reasons = names.filter((name) => name.endsWith(".reason.txt"));
    const texts = await Promise.all(reasons.map((name) => directory.read("jobs", "failed", name)));
    expect(texts.toSorted()).toEqual(files.map((_, index) => `VALIDATION_ERROR: file ${index}\n`));
    expect(await directory.read("jobs", "failed", "job-2.reason.txt")).toContain("file 2");
    expect(names).toContain("job-2.yaml");
  });

  it("are replaced as a whole in results/: the last answer to a job counts", async () => {
    await using directory = await createJobsDirectory();
    await using transport = directory.open();
    const sink = recordingSink();
    await transport.start(sink, { workerId: "w1" });
    const document = sampleDocument();
    const path = ["results", `${document.jobId}-result.json`];
    for (const [index, status] of (["failed", "completed"] as const).entries()) {
      await directory.put(`job-${index}.json`, toJson(document));
      await transport.ack((await sink.nth(index + 1)).leaseId, sampleResult(document, status));
      expect(JSON.parse(await directory.read(...path))).toMatchObject({ status });
    }
    expect(await directory.names("results")).toHaveLength(1);
  });
});
