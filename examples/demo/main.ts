import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdir, mkdtemp, rename, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isLongshoreError, type JobResult } from "@longshore/core";
import { probeRuntime } from "@longshore/runtime-oci";
import {
  followProgress,
  requestCancel,
  submitJobFile,
  waitForResult,
} from "@longshore/transport-file";
import Table from "cli-table3";
import { makeDemoDisk } from "longshore-plugin-disk/make-disk";
import pc from "picocolors";
import { containerJob, demoJobs, duplicateJob, type DemoJob } from "./demo-jobs.ts";
import { openBoard } from "./live-board.ts";
import { pythonImage } from "./python-image.ts";

const home = await mkdtemp(join(tmpdir(), "longshore-demo-"));
const jobsDir = join(home, "jobs");
const resultsDir = join(home, "results");

console.log(pc.bold("Longshore demo"), pc.dim(home));
await mkdir(jobsDir, { recursive: true });
const diskImage = join(home, "disk.qcow2");
await makeDemoDisk(diskImage, { format: "qcow2" });
const image = await provideImage();
const limit = AbortSignal.timeout(90_000);
const worker = await startWorkerProcess();
try {
  const jobs = [
    ...demoJobs(diskImage),
    ...("reference" in image ? [containerJob(image.reference)] : []),
  ];
  const ended = new AbortController();
  using board = openBoard([...jobs.map(({ document }) => document.jobId), "charge-2"]);
  const shows = [...jobs, duplicateJob()].map(({ document }) => show(document.jobId));

  for (const { document } of jobs) await submitJobFile({ jobsDir, document });
  await submitMalformed();
  const cancelled = cancelWhenRunning("unwanted");
  const outcomes = await Promise.all([...jobs.map((job) => outcomeOf(job)), malformedOutcome()]);
  await cancelled;
  const duplicate = duplicateJob();
  await submitJobFile({ jobsDir, document: duplicate.document });
  outcomes.push(await outcomeOf(duplicate));
  if ("reason" in image) outcomes.push(withoutContainer(image.reason));
  ended.abort();
  await Promise.all(shows);
  board[Symbol.dispose]();
  printTable(outcomes);

  async function show(jobId: string): Promise<void> {
    try {
      for await (const event of followProgress({ resultsDir, jobId, signal: ended.signal })) {
        board.update(event);
      }
    } catch (error) {
      if (!ended.signal.aborted) throw error;
    }
  }
} finally {
  await stopWorkerProcess(worker);
}
console.log(`results    ${resultsDir}`);
console.log(`worker log ${join(home, "worker.log")}`);

interface Outcome {
  readonly jobId: string;
  readonly shows: string;
  readonly status: string;
  readonly detail: string;
  readonly durationMs?: number;
}

async function outcomeOf({ document, shows }: DemoJob): Promise<Outcome> {
  const { jobId } = document;
  const result = await waitForResult({ jobsDir, resultsDir, jobId, signal: limit });
  const { status, executionSummary } = result;
  return {
    jobId,
    shows,
    status,
    detail: detailOf(result),
    durationMs: executionSummary.durationMs,
  };
}

function detailOf({ error, data, outputs, executionSummary }: JobResult): string {
  if (error !== undefined) return `${error.code}: ${error.message}`;
  const artifacts = outputs?.artifacts?.map(({ path }) => `artifact ${path}`) ?? [];
  const origin = executionSummary.deduplicatedFrom;
  return [
    ...(origin === undefined ? [] : [`copy of ${origin}`]),
    ...artifacts,
    JSON.stringify(data).slice(0, 160),
  ].join("; ");
}

/** The image for the job in a container, or why there can be none here. */
async function provideImage(): Promise<
  { readonly reference: string } | { readonly reason: string }
> {
  const probe = await probeRuntime("runc");
  if (!probe.available) {
    const fix = probe.fix === undefined ? "" : ` (${probe.fix})`;
    return { reason: `no containers: ${probe.reason}${fix}` };
  }
  try {
    const layout = await pythonImage((step) => console.log(pc.dim(step)));
    // A reference has no room for every character that a user's name may have.
    await symlink(layout, join(home, "image"));
    return { reference: `oci:${join(home, "image")}:python` };
  } catch (error) {
    return { reason: error instanceof Error ? error.message : String(error) };
  }
}

function withoutContainer(detail: string): Outcome {
  return { jobId: "in-container", shows: "Python in a container", status: "skipped", detail };
}

async function submitMalformed(): Promise<void> {
  const temporary = join(jobsDir, ".broken.tmp");
  await writeFile(temporary, '{ "version": "1.0", "job_id": "broken", ');
  await rename(temporary, join(jobsDir, "broken.json"));
}

/** A file that is no job has no result; the worker says why beside the file. */
async function malformedOutcome(): Promise<Outcome> {
  try {
    await waitForResult({ jobsDir, resultsDir, jobId: "broken", signal: limit });
    throw new Error("the malformed file was run");
  } catch (error) {
    if (!isLongshoreError(error)) throw error;
    return {
      jobId: "broken",
      shows: "a malformed file",
      status: "refused",
      detail: `${error.code}: ${error.message}`,
    };
  }
}

async function cancelWhenRunning(jobId: string): Promise<void> {
  for await (const event of followProgress({ resultsDir, jobId, signal: limit })) {
    if (event.phase === "running") break;
  }
  await requestCancel({ jobsDir, jobId });
}

async function startWorkerProcess(): Promise<ChildProcess> {
  const config = {
    home: "home",
    worker: { id: "demo-worker", max_concurrent_jobs: 4, results_dir: "results" },
    policy:
      "reference" in image
        ? {
            allowed_modes: ["handler", "process", "image"],
            allowed_images: [image.reference],
          }
        : { allowed_modes: ["handler", "process"] },
    plugins: [join(import.meta.dirname, "..", "handler-plugin", "src", "index.ts")],
  };
  const configFile = join(home, "worker.json");
  await writeFile(configFile, JSON.stringify(config, null, 2));
  const main = join(import.meta.dirname, "..", "..", "packages", "cli", "src", "main.ts");
  const child = spawn(
    process.execPath,
    [
      "--conditions=@longshore/source",
      main,
      "worker",
      "--config",
      configFile,
      "--jobs-dir",
      jobsDir,
    ],
    {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, LONGSHORE_DISK_ROOTS: home },
    },
  );
  child.stderr.pipe(createWriteStream(join(home, "worker.log")));
  await Promise.race([
    ready(child),
    once(child, "exit").then(([code]) => {
      throw new Error(`the worker ended with code ${String(code)}; see ${home}/worker.log`);
    }),
  ]);
  return child;
}

async function ready(child: ChildProcess): Promise<void> {
  for await (const chunk of child.stderr?.iterator({ destroyOnReturn: false }) ?? []) {
    if (String(chunk).includes("worker is ready")) return;
  }
}

async function stopWorkerProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const [code] = await exited;
  console.log(`\nthe worker stopped with exit code ${String(code)}`);
  if (code !== 0) process.exitCode = 1;
}

function printTable(outcomes: readonly Outcome[]): void {
  const table = new Table({
    head: ["job", "shows", "outcome", "ms", "detail"],
    colWidths: [14, 26, 11, 7, 62],
    wordWrap: true,
    style: { head: [], border: [], compact: true },
  });
  for (const { jobId, shows, status, durationMs, detail } of outcomes) {
    const colour = status === "completed" ? pc.green : pc.yellow;
    table.push([jobId, shows, colour(status), durationMs ?? "", detail]);
  }
  console.log(table.toString());
}
