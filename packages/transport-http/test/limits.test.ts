import { once } from "node:events";
import { describe, expect, it, vi } from "vitest";
import { post, serveWorker, wireJob } from "./fixtures/served-worker.ts";
import { exchange, openSocket } from "./fixtures/sockets.ts";

describe("a client that takes its time", () => {
  it("with its headers is cut off", async () => {
    await using served = await serveWorker({ headersTimeoutMs: 300, requestTimeoutMs: 600 });
    const answer = await exchange(served.baseUrl, "GET /info HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ");
    expect(answer).toMatch(/^HTTP\/1\.1 408 |^$/);
  });

  it("with its body is cut off, and nothing of it is stored", async () => {
    await using served = await serveWorker({ headersTimeoutMs: 300, requestTimeoutMs: 600 });
    const answer = await exchange(
      served.baseUrl,
      'POST /jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"version":"1.0",',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 408 |^$/);
    expect((await served.store.list()).records).toEqual([]);
  });
});

describe("a client that sends too much", () => {
  it("is told before its body is read, also when it does not say how long that is", async () => {
    await using served = await serveWorker({ maxBodyBytes: 1_000 });
    const head = "POST /jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n";
    const announced = await exchange(served.baseUrl, `${head}Content-Length: 1000000000\r\n\r\n`);
    expect(announced).toMatch(/^HTTP\/1\.1 413 /);
    expect(announced).toMatch(/connection: close/i);
    const chunk = `400\r\n${"x".repeat(1_024)}\r\n`;
    const chunked = await exchange(
      served.baseUrl,
      `${head}Transfer-Encoding: chunked\r\n\r\n${chunk}${chunk}`,
    );
    expect(chunked).toMatch(/^HTTP\/1\.1 413 /);
    const headers = await exchange(
      served.baseUrl,
      `GET /info HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ${"x".repeat(20_000)}\r\n\r\n`,
    );
    expect(headers).toMatch(/^HTTP\/1\.1 431 /);
    const packed = await post(`${served.baseUrl}/jobs`, {}, { "content-encoding": "gzip" });
    expect(packed.status).toBe(415);
  });
});

describe("a client whose request is not wanted", () => {
  it("reads why, although it still sends", async () => {
    await using served = await serveWorker();
    const socket = openSocket(served.baseUrl);
    const ended = once(socket, "close");
    let received = "";
    socket.on("data", (part: Buffer) => {
      received += part.toString();
    });
    socket.write("POST /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    const chunk = `10000\r\n${"x".repeat(65_536)}\r\n`;
    for (let sent = 0; sent < 16; sent += 1) socket.write(chunk);
    await once(socket, "end");
    expect(received).toMatch(/^HTTP\/1\.1 404 [^]*"code":"NOT_FOUND"/);
    socket.end();
    await ended;
  });

  it("may go on with its connection when the body was short", async () => {
    await using served = await serveWorker();
    const answer = await exchange(
      served.baseUrl,
      "POST /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\n\r\nabcGET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
    );
    expect(answer).toMatch(/^HTTP\/1\.1 404 [^]*HTTP\/1\.1 200 /);
  });

  it("is answered like any other, also when it speaks no HTTP", async () => {
    await using served = await serveWorker();
    const answer = await exchange(served.baseUrl, "NONSENSE\r\n\r\n");
    expect(answer).toMatch(/^HTTP\/1\.1 400 [^]*x-request-id: [^]*"code":"INVALID_BODY"/);
  });
});

describe("streams", () => {
  it("are so many of one client, and a place that was left is free again", async () => {
    await using served = await serveWorker({ maxStreamsPerClient: 2 });
    await post(`${served.baseUrl}/jobs`, wireJob("s1", "test.endless"));
    const url = `${served.baseUrl}/jobs/s1/events`;
    const leave = new AbortController();
    const first = await fetch(url, { signal: leave.signal });
    const second = await fetch(url);
    const third = await fetch(url);
    expect([first.status, second.status, third.status]).toEqual([200, 200, 429]);
    expect(third.headers.get("retry-after")).toBe("1");
    leave.abort();
    await vi.waitFor(async () => {
      const next = await fetch(url);
      await next.body?.cancel();
      expect(next.status).toBe(200);
    });
    await second.body?.cancel();
  });

  it("show that they live while nothing happens", async () => {
    await using served = await serveWorker({ heartbeatMs: 50 });
    const later = new Date(Date.now() + 3_600_000).toISOString();
    const waiting = wireJob("q1", "system.echo", { execution: { not_before: later } });
    await post(`${served.baseUrl}/jobs`, waiting);
    const { body } = await fetch(`${served.baseUrl}/jobs/q1/events`);
    let text = "";
    for await (const chunk of body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += chunk;
      if (text.split(": quiet").length > 3) break;
    }
    expect(text).toContain('"phase":"queued"');
  });

  it("that nobody reads are cut off, and slow neither the job nor other readers", async () => {
    await using served = await serveWorker({ stallTimeoutMs: 1_500, maxStreamsPerClient: 2 });
    const { store, baseUrl } = served;
    if (store.events === undefined) throw new Error("the store keeps no events");
    const { events } = store;
    const later = new Date(Date.now() + 3_600_000).toISOString();
    const waiting = wireJob("b1", "system.echo", { execution: { not_before: later } });
    await post(`${baseUrl}/jobs`, waiting);
    // More than the kernel holds of a connection.
    const details = { filler: "x".repeat(60_000) };
    await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        events.append({
          jobId: "b1",
          kind: "log",
          timestamp: new Date().toISOString(),
          sequence: index + 1,
          attempt: 1,
          workerId: "w1",
          phase: "log",
          message: "filler",
          details,
        }),
      ),
    );
    const slow = openSocket(baseUrl);
    slow.pause();
    slow.write("GET /jobs/b1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    let bytes = 0;
    const { body } = await fetch(`${baseUrl}/jobs/b1/events`);
    for await (const chunk of body ?? []) {
      bytes += chunk.byteLength;
      if (bytes > 200 * 60_000) break;
    }
    // Its place is free again, though it never said that it goes.
    await vi.waitFor(
      async () => {
        const streams = await Promise.all([1, 2].map(() => fetch(`${baseUrl}/jobs/b1/events`)));
        for (const { body: unread } of streams) await unread?.cancel();
        expect(streams.map(({ status }) => status)).toEqual([200, 200]);
      },
      { timeout: 15_000, interval: 200 },
    );
    slow.destroy();
  });

  it("end with the server, which closes at once", async () => {
    const served = await serveWorker();
    await post(`${served.baseUrl}/jobs`, wireJob("e1", "test.endless"));
    const { body } = await fetch(`${served.baseUrl}/jobs/e1/events`);
    const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("event: state")) text += (await reader?.read())?.value ?? "";
    const begun = performance.now();
    const closed = served.api[Symbol.asyncDispose]();
    for (;;) {
      const part = await reader?.read();
      if (part?.done !== false) break;
      text += part.value;
    }
    await closed;
    expect(performance.now() - begun).toBeLessThan(1_900);
    expect(text).not.toContain("event: done");
    await served[Symbol.asyncDispose]();
  });
});

describe("a worker that is full, or stops", () => {
  it("answers 429 and 503 with a time to come again", async () => {
    await using served = await serveWorker({ maxConcurrentJobs: 1, maxQueuedJobs: 1, admin: true });
    const url = served.baseUrl;
    for (const id of ["f1", "f2"]) await post(`${url}/jobs`, wireJob(id, "test.endless"));
    const full = await post(`${url}/jobs`, wireJob("f3", "test.endless"));
    expect(full.status).toBe(429);
    expect(full.headers.get("retry-after")).toMatch(/^\d+$/);
    expect((await post(`${url}/drain`, { timeout_seconds: 600 })).status).toBe(202);
    const late = await post(`${url}/jobs`, wireJob("f4", "system.echo"));
    expect(late.status).toBe(503);
    expect(await late.json()).toMatchObject({ error: { code: "WORKER_DRAINING" } });
    expect((await fetch(`${url}/live`)).status).toBe(200);
    expect((await fetch(`${url}/ready`)).status).toBe(503);
    const health = await fetch(`${url}/health`);
    expect(health.status).toBe(503);
    expect(await health.json()).toMatchObject({ status: "draining", draining: true });
    expect((await post(`${url}/shutdown`, {})).status).toBe(202);
    await vi.waitFor(() => {
      expect(served.worker.state).toBe("stopped");
    });
    expect(await served.store.get("f1")).toMatchObject({ state: "queued" });
  });

  it("does not offer to stop unless it was told to", async () => {
    await using served = await serveWorker();
    expect((await post(`${served.baseUrl}/shutdown`, {})).status).toBe(404);
  });
});

describe("the view for clients that expect {success, data}", () => {
  it("is below /api/v1 alone", async () => {
    await using served = await serveWorker({ view: "success" });
    const job = wireJob("v1", "system.echo");
    const sent = await post(`${served.baseUrl}/api/v1/jobs`, job);
    expect(await sent.json()).toMatchObject({ success: true, data: { job_id: "v1" } });
    const missing = await fetch(`${served.baseUrl}/api/v1/jobs/none`);
    expect(await missing.json()).toMatchObject({ success: false, error: { code: "NOT_FOUND" } });
    const plain = await fetch(`${served.baseUrl}/jobs/v1`);
    expect(await plain.json()).toMatchObject({ job_id: "v1" });
  });
});
