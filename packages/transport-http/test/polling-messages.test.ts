import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pollingMessages } from "../src/index.ts";
import { backoff } from "../src/polling/backoff.ts";
import { serveMaster } from "./fixtures/served-master.ts";
import { post, wireJob } from "./fixtures/served-worker.ts";

const page = join(import.meta.dirname, "../../../docs/protocols/polling-protocol.md");

describe("the page of the polling protocol", () => {
  it("has a table for each message, with its fields and no others", async () => {
    const text = await readFile(page, "utf8");
    const sections = text.split(/^### /m).slice(1);
    const documented = Object.fromEntries(
      sections.map((section) => [
        section.split("\n", 1)[0],
        [...section.matchAll(/^\| `(\w+)` +\|/gm)].map(([, field]) => field),
      ]),
    );
    const known = Object.fromEntries(
      Object.entries(pollingMessages).map(([name, schema]) => [name, Object.keys(schema.shape)]),
    );
    expect(documented).toEqual(known);
  });

  it("has the routes of workers that are served, and no others, and their description is good", async () => {
    const text = await readFile(page, "utf8");
    const documented = [...text.matchAll(/^\| `(GET|POST|DELETE) (\/[^`]*)`/gm)].map(
      ([, method, path]) => `${method} ${path}`,
    );
    await using master = await serveMaster();
    const source = await (await fetch(`${master.url}/openapi.json`)).text();
    const { paths } = JSON.parse(source) as {
      readonly paths: Readonly<
        Record<string, Readonly<Record<string, { readonly tags: readonly string[] }>>>
      >;
    };
    const served = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([, { tags }]) => tags.includes("polling"))
        .map(([method]) => `${method.toUpperCase()} ${path}`),
    );
    expect(documented.toSorted()).toEqual(served.toSorted());
    const config = await createConfig({ extends: ["recommended"] });
    const problems = await lintFromString({ source, absoluteRef: "openapi.json", config });
    expect(
      problems.map(({ ruleId, message, location }) => [ruleId, message, location[0]?.pointer]),
    ).toEqual([]);
  });
});

describe("waits between tries", () => {
  it("stay between half of a limit and the limit, which doubles up to the cap", () => {
    const number = fc.double({ min: 0, max: 0.999_999, noNaN: true });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000 }),
        fc.integer({ min: 1, max: 100_000 }),
        fc.array(fc.tuple(number, fc.integer({ min: 0, max: 10_000_000 })), { maxLength: 20 }),
        (firstMs, moreMs, tries) => {
          let random = 0;
          const capMs = firstMs + moreMs;
          const waits = backoff({ firstMs, capMs, random: () => random });
          let limitMs = firstMs;
          for (const [chance, askedMs] of tries) {
            random = chance;
            const waitMs = waits.next(askedMs);
            expect(waitMs).toBeGreaterThanOrEqual(Math.min(askedMs, 300_000));
            expect(waitMs).toBeGreaterThanOrEqual(Math.floor(limitMs / 2));
            expect(waitMs).toBeLessThanOrEqual(Math.max(limitMs, Math.min(askedMs, 300_000)));
            limitMs = Math.min(2 * limitMs, capMs);
          }
          waits.reset();
          random = 0.5;
          expect(waits.next()).toBe(Math.round(firstMs * 0.75));
        },
      ),
    );
  });
});

describe("whatever a worker sends", () => {
  it("a master answers it by the protocol, and goes on", { timeout: 120_000 }, async () => {
    await using master = await serveMaster();
    const register = { worker_id: "w1", instance_id: "i1", lease_ms: 60_000 };
    expect((await post(`${master.url}/workers`, register)).status).toBe(200);
    await post(`${master.url}/jobs`, wireJob("job-1", "a.b"));
    const polled = await post(`${master.url}/workers/w1/poll`, {
      instance_id: "i1",
      max_leases: 1,
      wait_ms: 0,
    });
    const { leases } = (await polled.json()) as {
      readonly leases: readonly { readonly lease_id: string }[];
    };
    const lease = leases[0]?.lease_id ?? "";
    const messages: Readonly<Record<string, object>> = {
      "/workers": { ...register, capabilities: { operations: ["a.b"] }, labels: { a: "b" } },
      "/workers/w1/poll": { instance_id: "i1", max_leases: 1, wait_ms: 0, cancel_cursor: "x.1" },
      "/workers/w1/events": { events: [{ lease_id: lease, event: { job_id: "job-1" } }] },
      [`/leases/${lease}/extend`]: {},
      [`/leases/${lease}/ack`]: { result: { version: "1.0", job_id: "job-1" }, events: [{}] },
      [`/leases/${lease}/nack`]: { error: { code: "A" }, requeue: true, delay_ms: 1 },
      "/leases/job-1~AAAA/ack": { result: {} },
    };
    const odd = fc.oneof(
      fc.jsonValue({ maxDepth: 3 }),
      fc.constantFrom(null, -1, 1e308, "", "\u0000", "x".repeat(300), [], {}, "../..", "__proto__"),
    );
    /** A message of which one field is something else, or all of it is */
    const sent = fc.constantFrom(...Object.keys(messages)).chain((path) =>
      fc.tuple(
        fc.constant(path),
        fc.oneof(
          odd,
          fc
            .tuple(fc.constantFrom(...Object.keys(messages[path] ?? {}), "other"), odd)
            .map(([name, value]): unknown => Object.assign({}, messages[path], { [name]: value })),
        ),
      ),
    );
    await fc.assert(
      fc.asyncProperty(sent, async ([path, body]) => {
        const response = await post(`${master.url}${path}`, body);
        const answer = (await response.json()) as Readonly<Record<string, unknown>>;
        expect(response.status).toBeLessThan(500);
        if (response.status >= 400) {
          expect(answer["error"]).toMatchObject({ code: expect.any(String) as string });
        }
      }),
      { numRuns: 400 },
    );
    const deep = `${"[".repeat(50_000)}${"]".repeat(50_000)}`;
    for (const [path, body] of [
      [`/leases/${lease}/ack`, `{"result":{"data":${deep}}}`],
      ["/workers/w1/events", `{"events":[{"lease_id":"${lease}","event":{"details":${deep}}}]}`],
      ["/workers", `{"capabilities":{"extra":${deep}}}`],
    ] as const) {
      const headers = { "content-type": "application/json" };
      const response = await fetch(`${master.url}${path}`, { method: "POST", headers, body });
      expect(response.status).toBeLessThan(500);
    }
    // The worker's lease is what it was, unless a message that happened to be good has ended it.
    const job = await fetch(`${master.url}/jobs/job-1`);
    expect(job.status).toBe(200);
  });
});
