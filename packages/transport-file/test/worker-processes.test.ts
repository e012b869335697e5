import { spawn } from "node:child_process";
import { once } from "node:events";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { recordingSink, sampleDocument, sampleResult } from "@longshore/testkit";
import { describe, expect, it, vi } from "vitest";
import type { GivenMessage } from "./fixtures/file-worker.ts";
import { createJobsDirectory, toJson } from "./jobs-directory.ts";

interface WorkerProcess extends AsyncDisposable {
  /** What it was given so far */
  readonly given: readonly GivenMessage[];
  /** Ends it so that it can do nothing more; resolves when it is gone */
  kill(): Promise<void>;
}

interface WorkerArguments {
  readonly id: string;
  readonly root: string;
  readonly leaseMs: number;
  readonly mode: "answer" | "hold";
}

function startProcess({ id, root, leaseMs, mode }: WorkerArguments): WorkerProcess {
  const program = join(import.meta.dirname, "fixtures", "file-worker.ts");
  const child = spawn(
    process.execPath,
    ["--conditions=@longshore/source", "--no-warnings", program, id, root, String(leaseMs), mode],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const given: GivenMessage[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    given.push(JSON.parse(line) as GivenMessage);
  });
  const dead = once(child, "close");
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await dead;
  };
  return { given, kill, [Symbol.asyncDispose]: kill };
}

describe("several processes on one jobs directory", () => {
  it("answer thousands of files, and are given none twice", { timeout: 180_000 }, async () => {
    const count = 3_000;
    await using directory = await createJobsDirectory();
    const { root } = directory;
    const early = count / 3;
    const send = (number: number): Promise<void> =>
      directory.put(`job-${number}.json`, toJson(sampleDocument()));
    for (let number = 0; number < early; number += 1) await send(number);
    await using first = startProcess({ id: "w1", root, leaseMs: 60_000, mode: "answer" });
    await using second = startProcess({ id: "w2", root, leaseMs: 60_000, mode: "answer" });
    await vi.waitFor(() => expect(first.given.length * second.given.length).toBeGreaterThan(0), {
      timeout: 60_000,
    });
    for (let number = early; number < count; number += 1) await send(number);
    await vi.waitFor(
      async () => expect((await directory.names("jobs", "done")).length).toBe(count),
      { timeout: 120_000, interval: 100 },
    );
    await vi.waitFor(() => expect(first.given.length + second.given.length).toBe(count), {
      timeout: 20_000,
    });
    const given = [...first.given, ...second.given];
    expect(new Set(given.map(({ name }) => name)).size).toBe(count);
    expect(given.every(({ attempt }) => attempt === 1)).toBe(true);
    expect(await directory.names("results")).toHaveLength(count);
    expect(await directory.names("jobs", "failed")).toEqual([]);
  });

  it("take over what one held that was killed, once its leases have run out", async () => {
    const count = 200;
    const leaseMs = 600;
    await using directory = await createJobsDirectory();
    const documents = Array.from({ length: count }, () => sampleDocument());
    for (const document of documents)
      await directory.put(`${document.jobId}.json`, toJson(document));
    await using victim = startProcess({ id: "w1", root: directory.root, leaseMs, mode: "hold" });
    await vi.waitFor(() => expect(victim.given).toHaveLength(count), { timeout: 15_000 });
    await using heir = directory.open({ leaseMs });
    const sink = recordingSink();
    await heir.start(sink, { workerId: "w2" });
    const late = sampleDocument();
    await directory.put("late.json", toJson(late));
    await vi.waitFor(() => expect(victim.given.length + sink.deliveries.length).toBe(count + 1), {
      timeout: 20_000,
    });
    expect(sink.deliveries.every(({ name }) => name === "late.json")).toBe(true);
    const before = sink.deliveries.length;
    await victim.kill();
    const taken = victim.given.length;
    await sink.nth(before + taken);
    const inherited = sink.deliveries.slice(before);
    expect(inherited.every(({ attempt }) => attempt === 2)).toBe(true);
    expect(inherited.map(({ name }) => name).toSorted()).toEqual(
      victim.given.map(({ name }) => name).toSorted(),
    );
    const byName = new Map(documents.map((document) => [`${document.jobId}.json`, document]));
    await Promise.all(
      inherited.map(({ leaseId, name }) =>
        heir.ack(leaseId, sampleResult(byName.get(name) ?? late)),
      ),
    );
    expect(await directory.names("jobs", "done")).toHaveLength(taken);
    // The dead worker's empty directory goes with the next look.
    await vi.waitFor(
      () => expect(access(join(directory.jobsDir, ".claimed", "w1"))).rejects.toThrow("ENOENT"),
      { timeout: 20_000 },
    );
  });
});
