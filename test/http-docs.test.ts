import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { allowAllPolicy, echoHandler, memoryJobStore, startWorker } from "@longshore/core";
import { prometheusMetrics, serveWorkerApi } from "@longshore/transport-http";
import { expect, it } from "vitest";

const execute = promisify(execFile);
const page = join(import.meta.dirname, "../docs/protocols/worker-http-api.md");

async function serveEcho() {
  const policy = allowAllPolicy();
  const store = memoryJobStore({ keepEvents: true });
  const worker = await startWorker({ id: "w1", policy, store, handlers: [echoHandler] });
  const metrics = prometheusMetrics();
  const api = await serveWorkerApi({ worker, store, policy, port: 0, metrics, admin: true });
  return {
    url: api.url,
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]();
      await worker[Symbol.asyncDispose]();
      await metrics[Symbol.asyncDispose]();
    },
  };
}

/** What is another each time, as the page has it. */
function normalised(text: string): string {
  return text
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "2026-11-29T12:00:00.000Z")
    .replaceAll(/("duration_seconds"|"duration_ms"|"queue_wait_ms"):[\d.]+/g, "$1:0")
    .replaceAll(/"request_id":"[^"]+"/g, '"request_id":"0440f2d2-c7a6-463a-bd62-5c8aa9bc6f7b"')
    .trimEnd();
}

it("the transcript of the Worker HTTP API is what curl and a worker say", async () => {
  const text = await readFile(page, "utf8");
  const transcript = /```console\n([^]*?)\n```/.exec(text)?.[1] ?? "";
  const steps = transcript.split(/^\$ /m).slice(1);
  expect(steps.length).toBeGreaterThan(4);
  await using served = await serveEcho();
  const said: string[] = [];
  for (const step of steps) {
    const [command = ""] = step.split("\n");
    const run = command.replaceAll("http://127.0.0.1:9000", served.url);
    const { stdout } = await execute("bash", ["-c", run], { timeout: 30_000 });
    said.push(`${command}\n${normalised(stdout)}`);
  }
  expect(said.join("\n$ ")).toBe(steps.map((step) => normalised(step)).join("\n$ "));
});

it("the page names the routes and parameters that are served, and no others", async () => {
  const text = await readFile(page, "utf8");
  const [, routes = "", parameters = ""] =
    /\n(\| route [^]*?)\n\n[^]*?\n(\| parameter [^]*?)\n\n/.exec(text) ?? [];
  const documented = new Set(
    [...routes.matchAll(/`(GET|POST|DELETE) (\/[^`]*)`/g)].map(
      ([, method, path]) => `${method} ${path}`,
    ),
  );
  await using served = await serveEcho();
  const { paths } = (await (await fetch(`${served.url}/openapi.json`)).json()) as {
    readonly paths: Readonly<
      Record<
        string,
        Readonly<Record<string, { parameters?: readonly { in: string; name: string }[] }>>
      >
    >;
  };
  const known = new Set<string>();
  const query = new Set<string>(["verbose"]);
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, { parameters: list = [] }] of Object.entries(methods)) {
      known.add(`${method.toUpperCase()} ${path}`);
      for (const { in: place, name } of list) if (place === "query") query.add(name);
    }
  }
  expect([...documented].toSorted()).toEqual([...known].toSorted());
  const named = parameters
    .split("\n")
    .slice(2)
    .flatMap((row) =>
      [...(row.split("|")[1] ?? "").matchAll(/`(\w+)`/g)].map(([, name = ""]) => name),
    );
  expect([...new Set([...named, "verbose"])].toSorted()).toEqual([...query].toSorted());
});
