import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createToken } from "@longshore/transport-http";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  longshore,
  longshoreWorker,
  startLongshore,
  type RunningCommand,
} from "./fixtures/longshore.ts";

let cwd = "";
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), "longshore-polling-cli-"));
});
afterEach(async () => {
  await rm(cwd, { recursive: true, force: true });
});

const run = (...args: readonly string[]) => longshore(args, { cwd });

/** A master, and where it is. */
async function startMaster(
  ...args: readonly string[]
): Promise<RunningCommand & { readonly url: string }> {
  const master = startLongshore(["master", "--listen", "127.0.0.1:0", ...args], { cwd });
  const url = await vi.waitFor(
    () => {
      const { stderr } = master.output();
      const found = /"url":"(https?:\/\/[^"]+)"/.exec(stderr)?.[1];
      if (found === undefined) throw new Error(`not served: ${stderr}`);
      return found;
    },
    { timeout: 20_000 },
  );
  return { ...master, url };
}

/** A token in a file of its own. */
async function tokenFile(name: string): Promise<string> {
  const { token } = await createToken(join(cwd, "tokens.json"), { subject: `token:${name}` });
  await writeFile(join(cwd, name), `${token}\n`);
  return name;
}

describe("longshore master and worker --poll", () => {
  it("run a job that was submitted to the master, and stop when they are told to", async () => {
    const [client, worker] = [await tokenFile("client"), await tokenFile("worker")];
    await using master = await startMaster("--store", "m.db", "--token-file", "tokens.json");
    const { url } = master;
    const at = ["--url", url, "--token-file", client];
    await using polling = await longshoreWorker(
      ["--home", "home", "--worker-id", "w1", "--poll", url, "--poll-token-file", worker],
      { cwd },
    );
    const echo = ["--operation", "system.echo", "--data", '{"a":1}', "--id", "p1"];
    const submitted = await run("submit", ...echo, ...at, "--wait");
    expect(JSON.parse(submitted.stdout)).toMatchObject({
      job_id: "p1",
      status: "completed",
      worker_id: "w1",
      data: { echo: { a: 1 } },
    });
    const listed = await run("jobs", "list", ...at);
    expect(JSON.parse(listed.stdout)).toMatchObject({ job_id: "p1", state: "completed" });
    const refused = await run("submit", "--operation", "system.echo", "--url", url);
    expect(refused).toMatchObject({
      exitCode: 3,
      stderr: "longshore: The request needs credentials.\n",
    });
    expect(await polling.end("SIGTERM")).toBe(0);
    master.child.kill("SIGTERM");
    expect(await master.ended).toMatchObject({ exitCode: 0 });
  });

  it("say what is wrong with their flags", async () => {
    const outcomes = await Promise.all([
      run("worker", "--home", "home", "--poll", "http://master.example:9100"),
      run("worker", "--home", "home", "--poll", "master"),
      run("worker", "--home", "home", "--poll", "http://127.0.0.1:1", "--poll-token-file", "none"),
      run("master", "--listen", "0.0.0.0:0", "--store", "none.db"),
      run("master", "--listen", "9100", "--store", "none.db"),
    ]);
    expect(outcomes.map(({ exitCode }) => exitCode)).toEqual([2, 2, 2, 2, 2]);
    const texts = ["plain HTTP", "not a URL", "cannot be read", "everybody", "not an address"];
    for (const [index, text] of texts.entries()) expect(outcomes[index]?.stderr).toContain(text);
  });
});
