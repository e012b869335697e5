import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JobTransport } from "@longshore/core";
import { recordingSink, sampleDocument, sampleResult } from "@longshore/testkit";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { httpPollingTransport, type PollingTransportOptions } from "../src/index.ts";
import {
  scriptedMaster,
  sendJson,
  wireError,
  type ScriptedMaster,
} from "./fixtures/scripted-master.ts";

let directory = "";
let master: ScriptedMaster;
/** Waits that the transport has asked for; each ends at once */
let waits: number[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "longshore-poll-"));
  master = await scriptedMaster();
  waits = [];
});
afterEach(async () => {
  await master[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

function open(options: Partial<PollingTransportOptions> = {}): JobTransport {
  return httpPollingTransport({
    url: master.url,
    directory,
    token: "secret",
    random: () => 0.999_999,
    sleep: async (timeMs) => {
      waits.push(timeMs);
      // The event loop gets its turn, so that what waits for ever does not hold up the test.
      await new Promise((resolve) => setTimeout(resolve, 1));
    },
    ...options,
  });
}

const start = (transport: JobTransport, sink = recordingSink()) =>
  transport.start(sink, { workerId: "w1" });

const delivery = (leaseId: string, jobId = "job-1"): object => ({
  lease_id: leaseId,
  job_id: jobId,
  attempt: 1,
  document: { version: "1.0", job_id: jobId, operation: "test.sample" },
});

describe("a polling transport refuses at its making", () => {
  it.each([
    ["plain HTTP to another host", { url: "http://master.example:9100" }, "plain HTTP"],
    ["plain HTTP to one named like this one", { url: "http://127.evil.com:9100" }, "plain HTTP"],
    ["credentials in the URL", { url: "https://a:b@master.example" }, "no credentials"],
    ["what is no URL of HTTP", { url: "ftp://master.example" }, "not a URL of HTTP"],
    ["a lease that is no whole number", { leaseMs: 0.5 }, "leaseMs"],
    ["polls without a pause", { waitMs: 0 }, "waitMs"],
    ["more at a time than a master sends", { prefetch: 65 }, "prefetch"],
  ])("%s", (_what, options, message) => {
    expect(() => open(options)).toThrow(message);
  });

  it("but not plain HTTP that is allowed, or stays on this host", () => {
    expect(() => open({ url: "http://master.example", allowInsecure: true })).not.toThrow();
    for (const host of ["127.0.0.1", "[::1]", "localhost"]) {
      expect(() => open({ url: `http://${host}:9100` })).not.toThrow();
    }
  });
});

describe("at its start, a polling transport", () => {
  it.each([401, 403, 404, 405, 422])("fails on %i, which no wait will change", async (status) => {
    master.answer({
      "POST /workers": (_request, response) => {
        sendJson(response, status, wireError("POLICY_DENIED"));
      },
    });
    await using transport = open();
    await expect(start(transport)).rejects.toMatchObject({ details: { status } });
    expect(waits).toEqual([]);
  });

  it("waits longer each time for a master that does not answer, up to its cap", async () => {
    let answered = 0;
    master.answer({
      "POST /workers": (_request, response) => {
        answered += 1;
        if (answered <= 10) response.destroy();
        else
          sendJson(response, 200, {
            worker_id: "w1",
            lease_ms: 60_000,
            max_wait_ms: 1,
            max_result_bytes: 99_999,
          });
      },
    });
    await using transport = open({ maxBackoffMs: 8_000 });
    await start(transport);
    expect(waits.slice(0, 10)).toEqual([
      250, 500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000, 8_000, 8_000,
    ]);
  });

  it.each([429, 503])("waits as long as %i says, in seconds or until a time", async (status) => {
    const until = new Date(Date.now() + 90_000).toUTCString();
    const retryAfter = ["7", until, "999999999"];
    master.answer({
      "POST /workers": (_request, response) => {
        const wait = retryAfter.shift();
        if (wait !== undefined) {
          response.setHeader("retry-after", wait);
          sendJson(response, status, wireError("QUEUE_FULL"));
        } else
          sendJson(response, 200, {
            worker_id: "w1",
            lease_ms: 60_000,
            max_wait_ms: 1,
            max_result_bytes: 99_999,
          });
      },
    });
    await using transport = open({ maxBackoffMs: 1_000 });
    await start(transport);
    expect(waits[0]).toBe(7_000);
    expect(waits[1]).toBeGreaterThan(80_000);
    expect(waits[1]).toBeLessThanOrEqual(90_000);
    // Nobody may tell a worker to wait for ever.
    expect(waits[2]).toBe(300_000);
  });

  it.each([
    ["garbage", "<html>gateway</html>"],
    ["JSON of another kind", '{"worker_id":["w1"]}'],
    ["half an answer", '{"worker_id":"w1","lease_ms'],
    ["more than it reads", `"${"x".repeat(20_000)}"`],
  ])("takes %s for no answer", async (_what, text) => {
    let count = 0;
    master.answer({
      "POST /workers": (_request, response) => {
        count += 1;
        if (count === 1) response.end(text);
        else
          sendJson(response, 200, {
            worker_id: "w1",
            lease_ms: 60_000,
            max_wait_ms: 1,
            max_result_bytes: 99_999,
          });
      },
    });
    await using transport = open({ maxAnswerBytes: 10_000 });
    await start(transport);
    expect(waits).toEqual([250]);
  });

  it("gives up on an answer that does not come, or comes byte by byte", async () => {
    let count = 0;
    master.answer({
      "POST /workers": (_request, response) => {
        count += 1;
        if (count === 1) return;
        if (count === 2) {
          response.writeHead(200, { "content-type": "application/json" });
          const drip = setInterval(() => response.write(" "), 20);
          response.once("close", () => {
            clearInterval(drip);
          });
        } else
          sendJson(response, 200, {
            worker_id: "w1",
            lease_ms: 60_000,
            max_wait_ms: 1,
            max_result_bytes: 99_999,
          });
      },
    });
    await using transport = open({ requestTimeoutMs: 150 });
    await start(transport);
    expect(waits).toEqual([250, 500]);
  });

  it("takes its token nowhere else", async () => {
    await using elsewhere = await scriptedMaster();
    let count = 0;
    master.answer({
      "POST /workers": (_request, response) => {
        count += 1;
        if (count === 1) response.writeHead(307, { location: `${elsewhere.url}/workers` }).end();
        else
          sendJson(response, 200, {
            worker_id: "w1",
            lease_ms: 60_000,
            max_wait_ms: 1,
            max_result_bytes: 99_999,
          });
      },
    });
    await using transport = open();
    await start(transport);
    expect(elsewhere.requests).toEqual([]);
    expect(master.requests[0]?.headers.authorization).toBe("Bearer secret");
  });

  it("stops waiting when it is aborted, and leaves its directory free", async () => {
    master.answer({ "POST /workers": (_request, response) => void response.destroy() });
    const stop = new AbortController();
    await using transport = open({
      sleep: (_timeMs, signal) => {
        stop.abort(new Error("enough"));
        expect(signal.aborted).toBe(true);
        return Promise.resolve();
      },
    });
    await expect(
      transport.start(recordingSink(), { workerId: "w1", signal: stop.signal }),
    ).rejects.toThrow("enough");
    master.answer({});
    await using next = open();
    await start(next);
  });
});

describe("while it polls, a polling transport", () => {
  it("does not ask without end when the master holds nothing back", async () => {
    master.answer({
      "POST /workers/w1/poll": (_request, response) => {
        sendJson(response, 200, { leases: [], cancels: [], cancel_cursor: "c" });
      },
    });
    await using transport = open({ maxBackoffMs: 1_000 });
    await start(transport);
    await expect.poll(() => waits.length).toBeGreaterThan(4);
    expect(waits.slice(0, 5)).toEqual([250, 500, 1_000, 1_000, 1_000]);
  });

  it("survives whatever a poll is answered with", async () => {
    const values = fc.sample(
      fc.oneof(
        fc.jsonValue({ maxDepth: 2 }),
        fc.record(
          { leases: fc.jsonValue(), cancels: fc.jsonValue(), cancel_cursor: fc.jsonValue() },
          { requiredKeys: [] },
        ),
        fc.constant({ leases: [delivery("../../etc")], cancels: [], cancel_cursor: "c" }),
      ),
      { numRuns: 60, seed: 1 },
    );
    let count = 0;
    master.answer({
      "POST /workers/w1/poll": (_request, response) => {
        count += 1;
        if (count === 62) return;
        const good = { leases: [delivery("job-1~a")], cancels: [], cancel_cursor: "c" };
        sendJson(response, 200, count === 61 ? good : values[count - 1]);
      },
    });
    const sink = recordingSink();
    await using transport = open();
    await start(transport, sink);
    expect((await sink.nth(1)).leaseId).toBe("job-1~a");
    expect(sink.deliveries).toHaveLength(1);
  });

  it("takes no more jobs than it asked for, and none twice", async () => {
    const polls: number[] = [];
    master.answer({
      "POST /workers/w1/poll": ({ body }, response) => {
        polls.push(Number(body["max_leases"]));
        const leases =
          polls.length === 1
            ? [delivery("job-1~a", "job-1"), delivery("job-1~a", "job-1")]
            : [delivery("job-2~a"), delivery("job-3~a"), delivery("job-4~a")];
        sendJson(response, 200, { leases, cancels: [], cancel_cursor: "c" });
      },
    });
    const sink = recordingSink();
    await using transport = open({ prefetch: 2 });
    await start(transport, sink);
    await expect.poll(() => waits.length).toBeGreaterThan(2);
    expect(sink.deliveries.map(({ leaseId }) => leaseId)).toEqual(["job-1~a"]);
    await expect
      .poll(async () => (await transport.health()).message ?? "")
      .toContain("3 jobs when it was asked for 2");
  });

  it("ends only jobs that the master itself has sent", async () => {
    let count = 0;
    master.answer({
      "POST /workers/w1/poll": (_request, response) => {
        count += 1;
        if (count > 1) return;
        sendJson(response, 200, {
          leases: [delivery("job-1~a", "job-1")],
          cancels: [
            { job_id: "somebody-else", lease_id: "job-1~a" },
            { job_id: "job-2", lease_id: "job-2~a" },
            { job_id: "job-1", lease_id: "job-1~a", reason: "not wanted" },
          ],
          cancel_cursor: "c",
        });
      },
    });
    const sink = recordingSink();
    await using transport = open();
    await start(transport, sink);
    await expect.poll(() => sink.cancelled).toEqual(["job-1"]);
  });

  it("tells that it is not well while the master refuses it, and that it is when it does not", async () => {
    let isRefused = true;
    master.answer({
      "POST /workers/w1/poll": (_request, response) => {
        if (isRefused) sendJson(response, 401, wireError("UNAUTHENTICATED"));
      },
    });
    await using transport = open();
    await start(transport);
    await expect.poll(() => transport.health()).toMatchObject({ status: "unhealthy" });
    isRefused = false;
    await expect.poll(() => transport.health()).toEqual({ status: "ok" });
  });
});

describe("an answer", () => {
  async function deliverOne(transport: JobTransport) {
    let isSent = false;
    master.answer({
      "POST /workers/w1/poll": (_request, response) => {
        if (isSent) return;
        isSent = true;
        sendJson(response, 200, {
          leases: [delivery("job-1~a")],
          cancels: [],
          cancel_cursor: "c",
        });
      },
    });
    const sink = recordingSink();
    await start(transport, sink);
    await sink.nth(1);
  }
  const result = sampleResult(sampleDocument({ jobId: "job-1" }));
  const files = (name: string) => readdir(join(directory, name));

  it.each([
    ["409", 409, wireError("LEASE_LOST")],
    ["410, whoever says so", 410, "gone"],
    ["404 of the master", 404, wireError("NOT_FOUND")],
  ])("comes too late with %s", async (_what, status, body) => {
    await using transport = open();
    await deliverOne(transport);
    master.answer({
      "POST /leases": (_request, response) => {
        sendJson(response, status, body);
      },
    });
    await expect(transport.ack("job-1~a", result)).rejects.toMatchObject({ code: "LEASE_LOST" });
    expect(await files("answers")).toEqual([]);
    await expect(transport.extend("job-1~a")).rejects.toMatchObject({ code: "LEASE_LOST" });
  });

  it.each([
    ["404 of something between", 404, "<html>no such app</html>"],
    ["500", 500, wireError("INTERNAL_ERROR")],
    ["503", 503, wireError("IO_ERROR")],
    ["401, until there is another token", 401, wireError("UNAUTHENTICATED")],
    ["an answer that is none", 200, { taken: "yes" }],
  ])("waits on the disk through %s", async (_what, status, body) => {
    await using transport = open();
    await deliverOne(transport);
    let tries = 0;
    master.answer({
      "POST /leases": (_request, response) => {
        tries += 1;
        if (tries < 4) sendJson(response, status, body);
        else sendJson(response, 200, { job_id: "job-1", state: "completed", repeated: false });
      },
    });
    await transport.ack("job-1~a", result);
    await expect.poll(() => files("answers")).toEqual([]);
    expect(tries).toBe(4);
    await transport.ack("job-1~a", result);
    expect(tries).toBe(4);
  });

  it("that the master will never take is set aside, and told", async () => {
    await using transport = open();
    await deliverOne(transport);
    master.answer({
      "POST /leases": (_request, response) => {
        sendJson(response, 400, wireError("VALIDATION_ERROR"));
      },
    });
    await expect(transport.ack("job-1~a", result)).rejects.toMatchObject({ code: "LEASE_LOST" });
    expect(await files("answers")).toEqual([]);
    expect(await files("refused")).toHaveLength(1);
  });

  it("that is longer than the master takes arrives without what is too much", async () => {
    await using transport = open();
    await deliverOne(transport);
    await transport.ack("job-1~a", { ...result, stdout: "é".repeat(3_000_000) });
    const acks = master.requests.filter(({ route }) => route.endsWith("/ack"));
    expect(acks).toHaveLength(1);
    const sent = acks[0]?.body["result"] as Record<string, unknown>;
    expect(sent).toMatchObject({ status: "completed", stdout_truncated: true });
    expect(String(sent["stdout"]).length).toBe(65_536);
    expect(sent["stdout_bytes_truncated"]).toBe(6_000_000 - 2 * 65_536);
  });

  it("finds no room when too many wait, says so, and lets no more jobs come", async () => {
    await using transport = open({ maxSpoolBytes: 500 });
    await deliverOne(transport);
    master.answer({ "POST /leases": (_request, response) => void response.destroy() });
    await expect(transport.ack("job-1~a", result)).rejects.toMatchObject({
      code: "TRANSPORT_ERROR",
      message: expect.stringContaining("of 500 wait for the master") as string,
    });
    // It still arrives once the master answers: the worker tries again.
    master.answer({});
    await transport.ack("job-1~a", result);
  });
});

describe("the directory of a polling transport", () => {
  it("is one process's at a time", async () => {
    await using transport = open();
    await start(transport);
    await using twin = open();
    await expect(start(twin)).rejects.toMatchObject({ code: "WORKER_ID_IN_USE" });
  });

  it("does not send what waits in it to another master", async () => {
    {
      await using transport = open();
      let isSent = false;
      master.answer({
        "POST /workers/w1/poll": (_request, response) => {
          if (isSent) return;
          isSent = true;
          sendJson(response, 200, {
            leases: [delivery("job-1~a")],
            cancels: [],
            cancel_cursor: "c",
          });
        },
        "POST /leases": (_request, response) => void response.destroy(),
      });
      const sink = recordingSink();
      await start(transport, sink);
      await sink.nth(1);
      await transport.ack("job-1~a", sampleResult(sampleDocument({ jobId: "job-1" })));
    }
    await using other = await scriptedMaster();
    await using moved = open({ url: other.url });
    await expect(start(moved)).rejects.toMatchObject({ code: "CONFIG_ERROR" });
    await using back = open();
    master.answer({});
    await start(back);
    await expect.poll(() => readdir(join(directory, "answers"))).toEqual([]);
  });
});
