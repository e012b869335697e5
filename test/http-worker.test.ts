import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { JobEvent } from "@longshore/core";
import { createWorkerClient } from "@longshore/transport-http/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { cleanEnv, longshore, longshoreWorker, type WorkerProcess } from "./fixtures/longshore.ts";

const execute = promisify(execFile);
const root = join(import.meta.dirname, "..");

let cwd = "";
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), "longshore-http-cli-"));
});
afterEach(async () => {
  await rm(cwd, { recursive: true, force: true });
});

const run = (...args: readonly string[]) => longshore(args, { cwd });

/** A worker that is served, and where. */
async function startServed(
  config: object = {},
  address = "127.0.0.1:0",
): Promise<WorkerProcess & { readonly url: string }> {
  const file = join(cwd, "worker.json");
  await writeFile(file, JSON.stringify(config));
  const worker = await longshoreWorker(
    ["--home", join(cwd, "home"), "--worker-id", "w1", "--config", file, "--http", address],
    { cwd },
  );
  const url = await vi.waitFor(
    () => {
      const found = /"url":"(https?:\/\/[^"]+)"/.exec(worker.log())?.[1];
      if (found === undefined) throw new Error(`not served: ${worker.log()}`);
      return found;
    },
    { timeout: 20_000 },
  );
  return { ...worker, url };
}

/** A job that writes a line, then waits until there is a file. */
function waitingJob(jobId: string, file: string) {
  return {
    version: "1.0",
    job_id: jobId,
    operation: "test.wait",
    execution: { max_attempts: 3 },
    runtime: {
      mode: "process",
      runtime: "native",
      cmd: ["sh", "-c", `echo begun; while [ ! -e "${file}" ]; do sleep 0.05; done; echo ended`],
    },
  };
}

describe("longshore worker --http", () => {
  it("takes jobs by --url, shows and follows them, prints their logs and ends them", async () => {
    await using worker = await startServed({ policy: { allowed_modes: ["handler", "process"] } });
    const { url } = worker;
    const at = ["--url", url];
    const echo = ["--operation", "system.echo", "--data", '{"a":1}', "--id", "u1"];
    const submitted = await run("submit", ...echo, ...at, "--wait");
    expect(submitted.stderr).toBe("");
    expect(JSON.parse(submitted.stdout)).toMatchObject({
      job_id: "u1",
      status: "completed",
      data: { echo: { a: 1 } },
    });
    const shown = JSON.parse((await run("jobs", "show", "u1", ...at)).stdout) as object;
    const atHome = await run("jobs", "show", "u1", "--home", join(cwd, "home"));
    expect(Object.keys(shown)).toEqual(expect.arrayContaining(["job_id", "owner", "result"]));
    expect(JSON.parse(atHome.stdout)).toMatchObject(shown);
    const client = createWorkerClient(url);
    const go = join(cwd, "go");
    await writeFile(go, "");
    await client.submitDocument(waitingJob("u2", go));
    const followed = await run("jobs", "follow", "u2", ...at);
    expect(followed.exitCode).toBe(0);
    const events = followed.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => index));
    expect(events.at(-1)).toMatchObject({ kind: "state", phase: "completed" });
    expect((await run("jobs", "logs", "u2", ...at)).stdout).toBe("begun\nended\n");
    await client.submitDocument(waitingJob("u3", join(cwd, "never")));
    const cancelled = await run("jobs", "cancel", "u3", "--reason", "enough", ...at);
    expect(JSON.parse(cancelled.stdout)).toMatchObject({ job_id: "u3" });
    expect((await run("jobs", "follow", "u3", ...at)).exitCode).toBe(1);
    expect(await client.result("u3")).toMatchObject({ error: { message: "enough" } });
    expect(await worker.end("SIGTERM")).toBe(0);
    const gone = await run("jobs", "show", "u3", ...at);
    expect(gone.stderr).toContain("cannot be reached");
  });

  it("asks for a token that can be revoked, and serves no other host without", async () => {
    const file = join(cwd, "tokens.json");
    const asJson = await run("token", "create", "ci", "--json", "--file", file);
    const made = JSON.parse(asJson.stdout) as { readonly id: string; readonly token: string };
    expect(await readFile(file, "utf8")).not.toContain(made.token);
    await writeFile(join(cwd, "token"), `${made.token}\n`, { mode: 0o600 });
    const plain = await run("token", "create", "other", "--file", file);
    expect(plain.stdout).toMatch(/^[\w-]{20,}\n$/);
    expect(plain.stderr).toContain("of token:other; it is shown this once");
    await using worker = await startServed({ api: { token_file: file } });
    const at = ["--url", worker.url];
    await expect(createWorkerClient(worker.url).list()).rejects.toMatchObject({
      code: "UNAUTHENTICATED",
    });
    expect(await run("jobs", "list", ...at, "--token-file", "token")).toMatchObject({
      exitCode: 0,
      stderr: "",
    });
    await run("token", "revoke", made.id, "--file", file);
    expect((await run("jobs", "list", ...at, "--token-file", "token")).exitCode).toBe(3);
    const open = await run("worker", "--home", "other", "--http", "0.0.0.0:0");
    expect(open).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("to everybody") as string,
    });
  });

  it("loses nothing by kill -9: what was accepted runs, and a reader sees each event once", async () => {
    const config = { policy: { allowed_modes: ["handler", "process"] } };
    const first = await startServed(config);
    const go = join(cwd, "go");
    const client = createWorkerClient(first.url);
    const soon = new Date(Date.now() + 4_000).toISOString();
    await client.submit({ operation: "system.echo", jobId: "due", execution: { notBefore: soon } });
    await client.submitDocument(waitingJob("waits", go));
    const seen: JobEvent[] = [];
    const begun = Promise.withResolvers<void>();
    const reading = (async () => {
      for await (const event of client.events("waits")) {
        seen.push(event);
        if (event.message === "begun") begun.resolve();
      }
    })();
    await begun.promise;
    await first.end("SIGKILL");
    await writeFile(go, "");
    await using _second = await startServed(config, new URL(first.url).host);
    await reading;
    expect(seen.map(({ sequence }) => sequence)).toEqual(seen.map((_, index) => index));
    expect(seen.filter(({ message }) => message === "begun")).toHaveLength(2);
    expect(seen.at(-1)).toMatchObject({ phase: "completed", attempt: 2 });
    expect(await client.result("waits")).toMatchObject({ status: "completed" });
    expect(await client.result("due")).toMatchObject({ status: "completed" });
  });

  it("is driven by a master in Python that has only its standard library", async () => {
    await using worker = await startServed();
    const { stdout } = await execute(
      "python3",
      [join(root, "examples/master-python/master.py"), worker.url],
      { timeout: 60_000, env: cleanEnv() },
    );
    expect(stdout.trim().split("\n")).toEqual([
      "worker 200 w1",
      "v1 202 queued",
      "v1 queued",
      "v1 assigned",
      "v1 running",
      "v1 completed",
      'v1 200 completed {"from": "python"}',
      "v0 422 False rejected",
      "v0 RUNTIME_NOT_SUPPORTED",
      "cancel 200 cancelled",
    ]);
  });
});
