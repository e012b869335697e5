import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeJobDocument, type JobDocument, type JobTransport } from "@longshore/core";
import { fileTransport, type FileTransportOptions } from "../src/index.ts";

/** A jobs directory of its own for one test. */
export interface JobsDirectory extends AsyncDisposable {
  /** Holds everything else */
  readonly root: string;
  readonly jobsDir: string;
  readonly resultsDir: string;
  open(options?: Partial<FileTransportOptions>): JobTransport;
  /** Puts a file into the inbox by rename, as a careful client does */
  put(name: string, content: string): Promise<void>;
  /** Names in a directory below the root, sorted; files of a transport's own are left out */
  names(...path: readonly string[]): Promise<readonly string[]>;
  read(...path: readonly string[]): Promise<string>;
}

export async function createJobsDirectory(): Promise<JobsDirectory> {
  const root = await mkdtemp(join(tmpdir(), "longshore-file-"));
  await chmod(root, 0o755);
  const jobsDir = join(root, "jobs");
  const resultsDir = join(root, "results");
  const staging = join(root, "staging");
  await mkdir(jobsDir);
  await mkdir(resultsDir);
  await mkdir(staging);
  return {
    root,
    jobsDir,
    resultsDir,
    open: (options) => fileTransport({ jobsDir, resultsDir, leaseMs: 60_000, ...options }),
    async put(name, content) {
      await writeFile(join(staging, name), content);
      await rename(join(staging, name), join(jobsDir, name));
    },
    async names(...path) {
      const names = await readdir(join(root, ...path));
      return names.filter((name) => !name.startsWith(".")).toSorted();
    },
    read: (...path) => readFile(join(root, ...path), "utf8"),
    async [Symbol.asyncDispose]() {
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** JSON is YAML too, and as YAML it never tells by itself that it is complete. */
export function toJson(document: JobDocument): string {
  return JSON.stringify(encodeJobDocument(document), null, 2);
}
