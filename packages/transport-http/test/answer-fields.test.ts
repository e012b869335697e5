import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import type { OpenApi } from "./fixtures/request-arbitrary.ts";
import { post, serveWorker, wireJob, type ServedWorker } from "./fixtures/served-worker.ts";

const page = join(import.meta.dirname, "../../../docs/protocols/worker-http-api.md");
/** Documents of their own page */
const ofJobs: ReadonlySet<string> = new Set(["Job", "Result", "Event", "Error"]);

interface Fields {
  readonly always: readonly string[];
  readonly sometimes: readonly string[];
}

function fieldsIn(cell = ""): readonly string[] {
  return [...cell.matchAll(/`(\w+)`/g)].map(([, name = ""]) => name).toSorted();
}

/** The fields of each answer, as the page has them. */
async function documented(): Promise<Readonly<Record<string, Fields>>> {
  const [, table = ""] =
    /\n\| answer [^]*?\n\| -[^\n]*\n([^]*?)\n\n/.exec(await readFile(page, "utf8")) ?? [];
  return Object.fromEntries(
    table.split("\n").map((row) => {
      const [, answer, always, sometimes] = row.split("|");
      const [name = ""] = fieldsIn(answer);
      return [name, { always: fieldsIn(always), sometimes: fieldsIn(sometimes) }];
    }),
  );
}

async function described(baseUrl: string): Promise<Readonly<Record<string, Fields>>> {
  const openApi = (await (await fetch(`${baseUrl}/openapi.json`)).json()) as OpenApi;
  return Object.fromEntries(
    Object.entries(openApi.components.schemas)
      .filter(([name]) => !ofJobs.has(name))
      .map(([name, { properties = {}, required = [] }]) => [
        name,
        {
          always: required.toSorted(),
          sometimes: Object.keys(properties)
            .filter((field) => !required.includes(field))
            .toSorted(),
        },
      ]),
  );
}

type Json = Readonly<Record<string, unknown>>;

/** Answers of every kind, until each field was there once. */
async function sampleAnswers({
  baseUrl,
}: ServedWorker): Promise<readonly (readonly [string, Json])[]> {
  const answers: [string, Json][] = [];
  const note = (name: string, ...values: readonly unknown[]): void => {
    for (const value of values) answers.push([name, value as Json]);
  };
  const get = async (path: string): Promise<Json> =>
    (await (await fetch(`${baseUrl}${path}`)).json()) as Json;
  const send = async (path: string, body: unknown, headers = {}): Promise<Json> =>
    (await (await post(`${baseUrl}${path}`, body, headers)).json()) as Json;
  const end = (id: string): Promise<Json> => get(`/jobs/${id}/result?wait=30s`);

  note("WorkerInfo", await get("/info"));
  note("Health", await get("/health?verbose"));
  note("Probe", await get("/live"));
  const { worker_id: _id, ...inInfo } = await get("/capabilities");
  note("Capabilities", inInfo, await get("/capabilities"));

  const key = { "idempotency-key": "k" };
  const odd = { novel_field: 1, metadata: { name: "n", labels: { a: "b" } } };
  note("Accepted", await send("/jobs", wireJob("a", "system.echo", odd), key));
  await end("a");
  note("Deduplicated", await send("/jobs", wireJob("b", "system.echo", odd), key));
  note("Checked", await send("/jobs?validate_only=true", wireJob("c", "system.echo", odd)));
  note("BatchAnswer", await send("/jobs:batch", { jobs: [wireJob("d", "system.echo")] }));
  note(
    "ErrorAnswer",
    await send("/jobs", wireJob("e", "nobody.has-this")),
    await get("/jobs/none"),
  );

  await send("/jobs", wireJob("f", "test.failing", odd));
  await end("f");
  const retried = await send("/jobs/f/retry", {});
  note("Accepted", retried);
  await end(String(retried["job_id"]));
  note("JobStatus", await get(`/jobs/${String(retried["job_id"])}`));
  const again = { max_attempts: 2, retry: { base_ms: 300_000 } };
  await send("/jobs", wireJob("g", "test.failing", { execution: again }));
  const waiting = await vi.waitFor(async () => {
    const status = await get("/jobs/g");
    expect(status["history"]).toHaveLength(1);
    return status;
  });
  note("JobStatus", waiting);
  note("Attempt", ...(waiting["history"] as readonly unknown[]));
  const list = await get("/jobs?limit=2&total=true&operation=test.failing&order=newest");
  note("JobPage", list);
  note("JobSummary", ...(list["jobs"] as readonly unknown[]));

  await send("/jobs", wireJob("h", "test.artifact"));
  await end("h");
  const files = await get("/jobs/h/artifacts");
  note("ArtifactList", files);
  note("Artifact", ...(files["artifacts"] as readonly unknown[]));
  const image = { mode: "image", image: "busybox" };
  const v0 = { protocol_version: 1, job_id: "i", task: { type: "container.run" }, runtime: image };
  await send("/jobs", v0);
  await end("i");
  note("V0Job", await get("/jobs/i"));

  await send("/jobs", wireJob("j", "test.endless"));
  await vi.waitFor(async () => {
    expect(await get("/jobs/j")).toMatchObject({ state: "running" });
  });
  note("JobState", await send("/jobs/j/cancel", {}));
  note("Stopping", await send("/shutdown", {}));
  return answers;
}

it("answers have the fields of the page and of the description, each of them, and no others", async () => {
  await using served = await serveWorker({ admin: true });
  const expected = await described(served.baseUrl);
  expect(await documented()).toEqual(expected);
  const seen: Record<string, Fields> = {};
  const samples = Map.groupBy(await sampleAnswers(served), ([name]) => name);
  for (const [name, answers] of samples) {
    const keys = answers.map(([, answer]) => Object.keys(answer));
    const all = [...new Set(keys.flat())].toSorted();
    const always = all.filter((key) => keys.every((own) => own.includes(key)));
    const { always: required = [] } = expected[name] ?? {};
    expect(always, name).toEqual(expect.arrayContaining([...required]));
    seen[name] = { always: [...required], sometimes: all.filter((key) => !required.includes(key)) };
  }
  expect(seen).toEqual(expected);
});
