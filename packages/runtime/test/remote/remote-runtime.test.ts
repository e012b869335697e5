import { once } from "node:events";
import { stat } from "node:fs/promises";
import { createConnection, createServer, type AddressInfo, type Server } from "node:net";
import { join } from "node:path";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { setImmediate as nextTurn } from "node:timers/promises";
import {
  isLongshoreError,
  openSandbox,
  type ContainerEvent,
  type ExecSession,
  type RuntimeClient,
  type Sandbox,
} from "@longshore/core";
import { connectRuntime, serveRuntime, type RuntimeServer } from "@longshore/runtime";
import { describe, expect, it } from "vitest";
import { tempRuntime, type TempRuntime } from "../../../core/test/runtime/temp-runtime.ts";

interface Place extends AsyncDisposable {
  readonly host: TempRuntime;
  readonly server: RuntimeServer;
  readonly path: string;
  readonly client: RuntimeClient;
}

/** A runtime of host processes, with what a test adds to it, served at a socket and reached through it. */
async function place(
  change: (runtime: RuntimeClient) => RuntimeClient = (one) => one,
): Promise<Place> {
  const host = await tempRuntime();
  const path = join(host.directory, "run", "runtime.sock");
  const server = await serveRuntime(change(host.runtime), { path });
  const client = await connectRuntime({ path });
  return {
    host,
    server,
    path,
    client,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await host[Symbol.asyncDispose]();
    },
  };
}

async function sandboxIn({ client, host }: Place): Promise<Sandbox> {
  return openSandbox(client, { image: "base", images: host.images });
}

function node(program: string): readonly string[] {
  return [process.execPath, "-e", program];
}

async function errorOf(promise: PromiseLike<unknown>): Promise<unknown> {
  return Promise.resolve(promise).then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe("a runtime of another process", () => {
  it("makes sandboxes, runs commands with input, and gives outputs and exit codes back", async () => {
    await using here = await place();
    await using sandbox = await sandboxIn(here);
    const program =
      'process.stdin.on("data", (d) => process.stdout.write(String(d).toUpperCase())).on("end", () => { console.error("over"); process.exitCode = 7 })';
    const result = await sandbox.run(node(program), { stdin: "hello" });
    expect(result).toMatchObject({ exitCode: 7, stdout: "HELLO", stderr: "over\n" });
  });

  it("keeps 64-bit times as bigint, and leaves absent fields absent", async () => {
    await using here = await place();
    await using sandbox = await sandboxIn(here);
    const { containerId } = sandbox;
    const near = await here.client.containerStatus({ containerId });
    expect(near).toEqual(await here.host.runtime.containerStatus({ containerId }));
    expect(typeof near.status.createdAt).toBe("bigint");
    expect(await here.client.listPodSandbox()).toEqual(await here.host.runtime.listPodSandbox());
  });

  it("has the abilities of the runtime behind it, and no others", async () => {
    await using here = await place((runtime) => ({
      ...runtime,
      pauseContainer: async () => undefined,
    }));
    expect(here.client.pauseContainer).toBeTypeOf("function");
    expect(here.client.checkpointContainer).toBeUndefined();
    expect(await here.client.pauseContainer?.({ containerId: "x" })).toBeUndefined();
  });

  it("passes errors on with code, details and retryability", async () => {
    await using here = await place();
    const near = await errorOf(here.client.podSandboxStatus({ podSandboxId: "no-such" }));
    const far = await errorOf(here.host.runtime.podSandboxStatus({ podSandboxId: "no-such" }));
    if (!isLongshoreError(near) || !isLongshoreError(far)) expect.unreachable();
    expect([near.code, near.message, near.details, near.retryable]).toEqual([
      far.code,
      far.message,
      far.details,
      far.retryable,
    ]);
  });

  it("makes a process wait for a slow reader, and loses nothing", async () => {
    await using here = await place();
    await using sandbox = await sandboxIn(here);
    const total = 20_000_000;
    await using session = await here.client.exec({
      containerId: sandbox.containerId,
      cmd: node(
        `process.stdout.write(Buffer.alloc(${total}, "x"), () => process.stderr.write("all"))`,
      ),
    });
    const reader = session.stdout[Symbol.asyncIterator]();
    const first = await reader.next();
    let received = first.value?.length ?? 0;
    let isWritten = false;
    void text(session.stderr).then(() => (isWritten = true));
    // A round trip after the window is full: had the process not been held up, it would have written all by then.
    await here.client.version();
    expect(isWritten).toBe(false);
    for (;;) {
      const next = await reader.next();
      if (next.done === true) break;
      received += next.value.length;
    }
    expect(received).toBe(total);
    expect(await session.exit).toEqual({ exitCode: 0 });
  });

  it("tells the exit of a process although nobody reads its output", async () => {
    await using here = await place();
    await using sandbox = await sandboxIn(here);
    await using session = await here.client.exec({
      containerId: sandbox.containerId,
      cmd: node('process.stdout.write("x".repeat(1000)); process.exitCode = 4'),
    });
    expect(await session.exit).toEqual({ exitCode: 4 });
    expect(await text(session.stdout)).toBe("x".repeat(1000));
  });

  it("passes an abort on, and rejects with its reason", async () => {
    await using here = await place();
    await using sandbox = await sandboxIn(here);
    const abort = new AbortController();
    const reason = new Error("enough");
    const running = here.client.execSync(
      { containerId: sandbox.containerId, cmd: node("setInterval(() => {}, 1000)") },
      { signal: abort.signal },
    );
    abort.abort(reason);
    expect(await errorOf(running)).toBe(reason);
    // The connection is good for the next call.
    await expect(here.client.version()).resolves.toHaveProperty("runtimeName");
  });

  it("kills what a client has started when its connection is gone", async () => {
    await using here = await place();
    const sandbox = await sandboxIn(here);
    const other = await connectRuntime({ path: here.path });
    const session = await other.exec({
      containerId: sandbox.containerId,
      cmd: node("console.log(process.pid); setInterval(() => {}, 1000)"),
    });
    const reader = session.stdout[Symbol.asyncIterator]();
    const pid = Number(Buffer.from((await reader.next()).value ?? []).toString());
    expect(process.kill(pid, 0)).toBe(true);
    await other[Symbol.asyncDispose]();
    await here.server[Symbol.asyncDispose]();
    expect(() => process.kill(pid, 0)).toThrow("ESRCH");
    expect(await errorOf(session.exit)).toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    await here.host.runtime.removePodSandbox({ podSandboxId: sandbox.id });
  });

  it("rejects calls and breaks sessions with RUNTIME_UNAVAILABLE when the server ends", async () => {
    await using here = await place();
    const sandbox = await sandboxIn(here);
    const waiting = errorOf(
      here.client.execSync({
        containerId: sandbox.containerId,
        cmd: node("setInterval(() => {}, 1000)"),
      }),
    );
    const session: ExecSession = await here.client.exec({
      containerId: sandbox.containerId,
      cmd: node("setInterval(() => {}, 1000)"),
    });
    await here.server[Symbol.asyncDispose]();
    expect(await waiting).toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    expect(await errorOf(text(session.stdout))).toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    await session.kill();
    await session[Symbol.asyncDispose]();
    const late = await errorOf(here.client.version());
    expect(late).toMatchObject({ code: "RUNTIME_UNAVAILABLE", retryable: true });
    // The sandbox is removed through the runtime itself.
    await here.host.runtime.removePodSandbox({ podSandboxId: sandbox.id });
  });

  it("gives a process the input that was accepted, although the session is disposed of at once", async () => {
    const received: string[] = [];
    let isOver = false;
    const input = (word: string): void => {
      if (!isOver) received.push(word);
    };
    await using here = await place((runtime) => ({
      ...runtime,
      async attach() {
        return {
          stdin: {
            async write(chunk) {
              // As one that waits for the process to read.
              for (let turns = 0; turns < 5; turns += 1) await nextTurn();
              input(Buffer.from(chunk).toString());
            },
            async end() {
              input("end");
            },
          },
          stdout: Readable.from([]),
          stderr: Readable.from([]),
          async resize() {},
          async [Symbol.asyncDispose]() {
            isOver = true;
          },
        };
      },
    }));
    const session = await here.client.attach?.({ containerId: "any", stdin: true });
    await session?.stdin.write("one");
    await session?.stdin.write("two");
    await session?.stdin.end();
    await session?.[Symbol.asyncDispose]();
    expect(received).toEqual(["one", "two", "end"]);
  });

  it("serves many calls at the same time", async () => {
    await using here = await place();
    await using sandbox = await sandboxIn(here);
    const outputs = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const { stdout } = await sandbox.run(["echo", String(index)]);
        return stdout.trim();
      }),
    );
    expect(outputs).toEqual(Array.from({ length: 20 }, (_, index) => String(index)));
  });

  it("streams events until the signal, and ends a reader that is too far behind", async () => {
    let isFlood = false;
    const event = (index: number): ContainerEvent => ({
      containerId: `c${index}`,
      containerEventType: "started",
      createdAt: BigInt(index),
      containersStatuses: [],
    });
    async function* events({
      signal,
    }: { signal?: AbortSignal | undefined } = {}): AsyncGenerator<ContainerEvent> {
      for (let index = 0; index < 3; index += 1) yield event(index);
      if (isFlood) for (let index = 0; index < 5_000; index += 1) yield event(index);
      if (signal?.aborted !== true) await once(signal ?? new EventTarget(), "abort");
    }
    await using here = await place((runtime) => ({ ...runtime, getContainerEvents: events }));
    const abort = new AbortController();
    const seen: string[] = [];
    for await (const { containerId, createdAt } of here.client.getContainerEvents?.({
      signal: abort.signal,
    }) ?? []) {
      expect(typeof createdAt).toBe("bigint");
      if (seen.push(containerId) === 3) abort.abort();
    }
    expect(seen).toEqual(["c0", "c1", "c2"]);

    isFlood = true;
    const slow = (here.client.getContainerEvents?.() ?? never())[Symbol.asyncIterator]();
    await slow.next();
    // The answer comes over another connection after the flood was sent.
    const all = async (): Promise<void> => {
      for (let calls = 0; calls < 200; calls += 1) await here.client.version();
      for (;;) if ((await slow.next()).done === true) return;
    };
    expect(await errorOf(all())).toMatchObject({ code: "LIMIT_EXCEEDED" });
  });

  it("carries both directions of a forwarded port", async () => {
    await using echo = await echoServer();
    await using here = await place((runtime) => ({
      ...runtime,
      async portForward({ port }) {
        const socket = createConnection(port, "127.0.0.1");
        await once(socket, "connect");
        return socket;
      },
    }));
    const socket = await here.client.portForward?.({ podSandboxId: "any", port: echo.port });
    if (socket === undefined) expect.unreachable();
    const sent = Buffer.alloc(3_000_000, "0123456789");
    socket.end(sent);
    const chunks: Buffer[] = [];
    for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
    expect(Buffer.concat(chunks).equals(sent)).toBe(true);
  });

  it("lets only its own user connect", async () => {
    await using here = await place();
    expect((await stat(here.path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(here.path, ".."))).mode & 0o777).toBe(0o700);
  });

  it("is unavailable where nobody serves, and where somebody else does", async () => {
    await using here = await place();
    const missing = join(here.host.directory, "none.sock");
    expect(await errorOf(connectRuntime({ path: missing }))).toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
    });
    const path = join(here.host.directory, "other.sock");
    const stranger = createServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    stranger.listen(path);
    await once(stranger, "listening");
    expect(await errorOf(connectRuntime({ path }))).toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    stranger.close();
  });

  it("closes the connection of a client that talks nonsense, and serves the others", async () => {
    await using here = await place();
    for (const bytes of [
      Buffer.from([0xff, 0xff, 0xff, 0xff]),
      Buffer.from([0, 0, 0, 2, 0xc1, 0xc1]),
      Buffer.from([0, 0, 0, 1, 0x01]),
    ]) {
      const socket = createConnection(here.path);
      socket.resume();
      socket.write(bytes);
      await once(socket, "close");
    }
    await expect(here.client.version()).resolves.toHaveProperty("runtimeName");
  });
});

async function echoServer(): Promise<AsyncDisposable & { readonly port: number }> {
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, "close");
    },
  };
}

function never(): never {
  throw new Error("the runtime has no events");
}
