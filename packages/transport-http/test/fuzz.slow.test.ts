import { Agent, request as httpRequest } from "node:http";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { answerCheck, type Answer } from "./fixtures/answer-check.ts";
import { requestArbitrary, type FuzzRequest, type OpenApi } from "./fixtures/request-arbitrary.ts";
import { post, serveWorker, wireJob, type ServedWorker } from "./fixtures/served-worker.ts";
import { exchange } from "./fixtures/sockets.ts";

const isFull = process.env["LONGSHORE_TEST_SCALE"] === "full";
const requestCount = isFull ? 20_000 : 2_000;
const seed = Number(process.env["LONGSHORE_TEST_SEED"] ?? 20_261_129);
/** Time that any answer may take */
const limitMs = 10_000;
const inParallel = 8;
const agent = new Agent({ keepAlive: true, maxSockets: inParallel });

/** Sends a request; of a stream that does not end the beginning is enough. */
function send(url: string, { method, target, headers, body }: FuzzRequest): Promise<Answer> {
  return new Promise((resolve, rejectWith) => {
    const reject = (error: Error): void => {
      rejectWith(new Error(`${method} ${target}: ${error.message}`, { cause: error }));
    };
    const { hostname, port } = new URL(url);
    const length = body === undefined ? {} : { "content-length": body.byteLength };
    const options = { hostname, port, method, path: target, headers: { ...headers, ...length } };
    const call = httpRequest({ ...options, agent });
    const timer = setTimeout(() => {
      call.destroy(new Error(`no answer within ${limitMs} ms`));
    }, limitMs);
    call.once("error", reject).once("close", () => {
      clearTimeout(timer);
    });
    call.once("response", (response) => {
      const { statusCode: status = 0 } = response;
      let text = "";
      const isStream = response.headers["content-type"]?.startsWith("text/event-stream");
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
        if (isStream !== true) return;
        resolve({ status, headers: response.headers, text });
        response.destroy();
      });
      response.once("error", reject).once("end", () => {
        resolve({ status, headers: response.headers, text });
      });
    });
    call.end(body);
  });
}

async function openApiOf(url: string): Promise<OpenApi> {
  return (await (await fetch(`${url}/openapi.json`)).json()) as OpenApi;
}

/** A worker with jobs in every state. */
async function serveJobs(): Promise<ServedWorker & { readonly jobIds: readonly string[] }> {
  const served = await serveWorker({ admin: true, maxStreamsPerClient: 500 });
  const { baseUrl } = served;
  const later = new Date(Date.now() + 86_400_000).toISOString();
  const jobs = [
    wireJob("done", "system.echo"),
    wireJob("failed", "test.failing"),
    wireJob("files", "test.artifact"),
    wireJob("runs", "test.endless", { execution: { cancellable: false } }),
    wireJob("waits", "system.echo", { execution: { not_before: later } }),
    {
      protocol_version: 1,
      job_id: "old",
      task: { type: "container.run", payload: {} },
      runtime: { mode: "image", image: "busybox" },
    },
  ];
  for (const job of jobs) {
    const { status } = await post(`${baseUrl}/jobs`, job);
    expect(status).toBe(202);
  }
  for (const id of ["done", "failed", "files", "old"]) {
    await fetch(`${baseUrl}/jobs/${id}/result?wait=30s`);
  }
  return { ...served, jobIds: ["done", "failed", "files", "runs", "waits", "old"] };
}

/** Sends that many requests, and gives back how often each status was answered. */
async function fuzz(
  served: ServedWorker & { readonly jobIds: readonly string[] },
  count: number,
  isWanted: (operationId: string) => boolean,
): Promise<ReadonlyMap<number, number>> {
  const openApi = await openApiOf(served.baseUrl);
  const check = answerCheck(openApi);
  const statuses = new Map<number, number>();
  const requests = requestArbitrary({
    openApi,
    isWanted,
    jobIds: served.jobIds,
    artifact: { jobId: "files", path: "out/digits.txt" },
    jobOperations: ["system.echo", "test.failing", "test.artifact", "nobody.has-this"],
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(requests, { minLength: inParallel, maxLength: inParallel, size: "max" }),
      async (batch) => {
        await Promise.all(
          batch.map(async (request) => {
            const answer = await send(served.baseUrl, request);
            statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
            const fault = check(request, answer);
            if (fault !== undefined)
              throw new Error(`${request.method} ${request.target}: ${fault}`);
          }),
        );
      },
    ),
    { numRuns: Math.ceil(count / inParallel), seed, endOnFailure: false },
  );
  return statuses;
}

describe("requests made of the API's own description", () => {
  it(`${requestCount} of them are all answered as described (seed ${seed})`, async () => {
    await using served = await serveJobs();
    const statuses = await fuzz(served, requestCount, (id) => id !== "drain" && id !== "shutdown");
    for (const status of [200, 202, 206, 207, 304, 400, 404, 405, 409, 415, 422]) {
      expect(statuses.get(status) ?? 0, `answers of ${status}`).toBeGreaterThan(0);
    }
    expect((await fetch(`${served.baseUrl}/live`)).status).toBe(200);
    // Jobs that run until they are told to stop were tried again.
    expect(served.worker.state).toMatch(/^(ready|busy)$/);
  });

  it("those that stop the worker are too, and all others after them", async () => {
    await using served = await serveJobs();
    const isAdmin = (id: string): boolean => id === "drain" || id === "shutdown";
    await fuzz(served, 80, isAdmin);
    await fetch(`${served.baseUrl}/drain`, { method: "POST" });
    const statuses = await fuzz(served, requestCount / 10, () => true);
    expect(statuses.get(503) ?? 0).toBeGreaterThan(0);
  });

  it("what is no HTTP is refused, and the worker lives on", async () => {
    // Some of it looks like a request that never ends, or leaves a connection that waits for the next one.
    const limits = { headersTimeoutMs: 200, requestTimeoutMs: 400, keepAliveTimeoutMs: 200 };
    await using served = await serveWorker(limits);
    const line = fc.constantFrom(
      "GET / HTTP/1.1",
      "POST /jobs HTTP/1.1",
      "GET /jobs/%",
      "GET //evil.example/jobs HTTP/1.1",
      "GET http://[::1 HTTP/1.1",
      "OPTIONS * HTTP/1.1",
      "CONNECT a:1 HTTP/1.1",
      "BREW /pot HTTP/1.1",
    );
    const header = fc.oneof(
      fc.constantFrom(
        "Host: 127.0.0.1",
        "Host:",
        "Content-Length: -1",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked",
        "Expect: 100-continue",
        "Upgrade: websocket\r\nConnection: upgrade",
        "Connection: close",
      ),
      fc.string({ unit: "binary", maxLength: 40 }),
    );
    const raw = fc
      .tuple(line, fc.array(header, { maxLength: 4 }), fc.string({ unit: "binary", maxLength: 60 }))
      .map(([first, headers, rest]) => `${[first, ...headers].join("\r\n")}\r\n\r\n${rest}`);
    await fc.assert(
      fc.asyncProperty(raw, async (text) => {
        // A second request ends the exchange, whatever the first one was taken for.
        const answer = await exchange(
          served.baseUrl,
          `${text}\r\n\r\nGET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`,
        );
        expect(answer).not.toMatch(/^HTTP\/1\.1 5/m);
      }),
      { numRuns: isFull ? 2_000 : 200, seed },
    );
    expect((await fetch(`${served.baseUrl}/live`)).status).toBe(200);
  });
});
