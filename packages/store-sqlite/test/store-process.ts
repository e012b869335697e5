import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** A directory for database files that goes with its test. */
export interface StoreDirectory extends AsyncDisposable {
  readonly path: string;
  file(name?: string): string;
}

export async function createStoreDirectory(): Promise<StoreDirectory> {
  const path = await mkdtemp(join(tmpdir(), "longshore-sqlite-"));
  return {
    path,
    file: (name = "jobs.db") => join(path, name),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

/** Another process that uses a store; see `fixtures/store-process.ts`. */
export interface StoreProcess extends AsyncDisposable {
  /** The jobs of which it said so, in order */
  jobsThat(what: string): readonly string[];
  go(): void;
  kill(): Promise<void>;
  /** Its exit code, when it has ended by itself and all it said was read */
  readonly ended: Promise<number | null>;
}

export interface StoreProcessOptions {
  readonly mode: "live" | "race" | "leave-open" | "close-busy";
  readonly path: string;
  readonly name: string;
  readonly count?: number;
  readonly cwd?: string;
}

export function startStoreProcess(options: StoreProcessOptions): StoreProcess {
  const { mode, path, name, count = 0, cwd } = options;
  const program = fileURLToPath(new URL("./fixtures/store-process.ts", import.meta.url));
  const child = spawn(
    process.execPath,
    ["--conditions=@longshore/source", "--no-warnings", program, mode, path, name, String(count)],
    { stdio: ["pipe", "pipe", "inherit"], cwd },
  );
  const said: { readonly what: string; readonly jobId: string }[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    // A line without its full stop was cut off by a kill.
    const [, what, jobId] = /^(\S+) (.*)\.$/.exec(line) ?? [];
    if (what !== undefined && jobId !== undefined) said.push({ what, jobId });
  });
  const ended = once(child, "close").then(([code]) => code as number | null);
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
  };
  return {
    jobsThat: (what) => said.filter((line) => line.what === what).map(({ jobId }) => jobId),
    go: () => {
      child.stdin.end("go\n");
    },
    kill,
    ended,
    [Symbol.asyncDispose]: kill,
  };
}
