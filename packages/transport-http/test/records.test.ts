import { mkdtemp, rm, writeFile, mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Policy } from "@longshore/core";
import { expect, it } from "vitest";
import { bearerTokens, createToken } from "../src/index.ts";
import { dockerRoot } from "../src/host/docker-root.ts";
import { post, serveWorker, wireJob } from "./fixtures/served-worker.ts";

async function temporaryDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "longshore-records-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A policy by a list of `subject action object`, which may change. */
function listPolicy(rules: ReadonlySet<string>): Policy {
  return {
    name: "list",
    check: async ({ subject, action, object }) => ({
      allowed: rules.has(`${subject} ${action} ${object}`),
    }),
  };
}

it("a job that was pruned is 410, also after a restart; one that never was is 404", async () => {
  await using directory = await temporaryDirectory();
  {
    await using served = await serveWorker({ directory: directory.path });
    await post(`${served.baseUrl}/jobs?wait=30s`, wireJob("old", "system.echo"));
    await served.store.prune({ finishedBeforeMs: Date.now() + 1_000 });
  }
  await using served = await serveWorker({ directory: directory.path });
  const statusOf = async (path: string): Promise<number> =>
    (await fetch(`${served.baseUrl}/jobs/${path}`)).status;
  for (const path of ["old", "old/result", "old/events", "old/logs", "old/artifacts"]) {
    expect(await statusOf(path), path).toBe(410);
  }
  const answer = await fetch(`${served.baseUrl}/jobs/old/result`);
  expect(await answer.json()).toMatchObject({
    job_id: "old",
    state: "not_found",
    error: { code: "NOT_FOUND", message: expect.stringContaining("deleted") as string },
  });
  expect(await statusOf("never/result")).toBe(404);
  const anew = await post(`${served.baseUrl}/jobs?wait=30s`, wireJob("old", "system.echo"));
  expect(anew.status).toBe(200);
  expect(await statusOf("old/result")).toBe(200);
});

it("whoever submitted a job may end it, as long as they may submit it", async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, "tokens.json");
  const owner = await createToken(file, { subject: "token:owner" });
  const other = await createToken(file, { subject: "token:other" });
  const rules = new Set<string>();
  for (const subject of ["token:owner", "token:other"]) {
    rules.add(`${subject} execute job:default/test.endless`);
    rules.add(`${subject} query job:default/test.endless`);
  }
  await using served = await serveWorker({
    policy: listPolicy(rules),
    authenticators: [bearerTokens(file)],
  });
  const headersOf = (token: string): { readonly authorization: string } => ({
    authorization: `Bearer ${token}`,
  });
  const submit = (id: string) =>
    post(`${served.baseUrl}/jobs`, wireJob(id, "test.endless"), headersOf(owner.token));
  const end = async (id: string, token: string): Promise<number> => {
    const url = `${served.baseUrl}/jobs/${id}`;
    return (await fetch(url, { method: "DELETE", headers: headersOf(token) })).status;
  };
  expect((await submit("o1")).status).toBe(202);
  expect((await submit("o2")).status).toBe(202);
  expect(await served.store.get("o1")).toMatchObject({ submittedBy: "token:owner" });
  expect(await end("o1", other.token)).toBe(403);
  expect([200, 202]).toContain(await end("o1", owner.token));
  rules.delete("token:owner execute job:default/test.endless");
  expect(await end("o2", owner.token)).toBe(403);
  rules.add("token:other manage job:default/test.endless");
  expect([200, 202]).toContain(await end("o2", other.token));
});

it("nobody owns what anonymous has submitted", async () => {
  const rules = new Set(["anonymous execute job:default/test.endless"]);
  await using served = await serveWorker({ policy: listPolicy(rules) });
  await post(`${served.baseUrl}/jobs`, wireJob("a1", "test.endless"));
  const { status } = await fetch(`${served.baseUrl}/jobs/a1`, { method: "DELETE" });
  expect(status).toBe(403);
});

it("total counts the jobs of all pages that the policy shows", async () => {
  const rules = new Set<string>();
  for (const operation of ["system.echo", "test.echo"]) {
    rules.add(`anonymous execute job:default/${operation}`);
  }
  rules.add("anonymous query job:default/system.echo");
  await using served = await serveWorker({ policy: listPolicy(rules) });
  const labels = { metadata: { labels: { run: "r" } } };
  for (const [id, operation] of [
    ["t1", "system.echo"],
    ["t2", "system.echo"],
    ["t3", "test.echo"],
  ] as const) {
    await post(`${served.baseUrl}/jobs?wait=30s`, wireJob(id, operation, labels));
  }
  const list = async (query: string): Promise<unknown> =>
    (await fetch(`${served.baseUrl}/jobs?${query}`)).json();
  expect(await list("limit=1&total=true")).toMatchObject({ total: 2 });
  expect(await list("label=run%3Dr&total=true")).toMatchObject({ total: 2 });
  expect(await list("label=run%3Dx&total=true")).toMatchObject({ total: 0 });
  expect(await list("operation=test.echo&total=true")).toMatchObject({ jobs: [], total: 0 });
  expect(await list("limit=1")).not.toHaveProperty("total");
});

it("Docker's directory is the configured one, and none where there is no Docker", async () => {
  await using directory = await temporaryDirectory();
  const config = join(directory.path, "daemon.json");
  const root = join(directory.path, "images");
  await writeFile(config, JSON.stringify({ "data-root": root }));
  expect(await dockerRoot(config)).toBeUndefined();
  await mkdir(root);
  expect(await dockerRoot(config)).toBe(root);
});
