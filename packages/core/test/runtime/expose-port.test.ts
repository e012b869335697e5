import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server } from "node:net";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { openBase } from "./open-base.ts";

/** A server on the host, whose ports are those of a process runtime's sandboxes: answers what it got, at its end. */
async function startMirror(): Promise<Server & AsyncDisposable> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    text(socket).then(
      (all) => socket.end(all.toUpperCase()),
      () => undefined,
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return Object.assign(server, {
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, "close");
    },
  });
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

describe("sandbox.connect", () => {
  it("gives a stream to a port inside, half of which may be closed", async () => {
    await using mirror = await startMirror();
    await using host = await openBase();
    const stream = await host.sandbox.connect(portOf(mirror));
    stream.end("hello");
    expect(await text(stream)).toBe("HELLO");
  });

  it("says that nothing listens", async () => {
    await using host = await openBase();
    const closed = await startMirror();
    const port = portOf(closed);
    await closed[Symbol.asyncDispose]();
    await expect(host.sandbox.connect(port)).rejects.toMatchObject({ code: "IO_ERROR" });
  });
});

describe("sandbox.expose", () => {
  it("passes connections on, many at a time", async () => {
    await using mirror = await startMirror();
    await using host = await openBase();
    await using exposed = await host.sandbox.expose(portOf(mirror));
    expect(exposed.host).toBe("127.0.0.1");
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_none, index) => {
        const socket = connect({ host: exposed.host, port: exposed.port, allowHalfOpen: true });
        socket.end(`message ${index} ${"x".repeat(100_000)}`);
        return text(socket);
      }),
    );
    answers.forEach((answer, index) => {
      expect(answer).toBe(`MESSAGE ${index} ${"X".repeat(100_000)}`);
    });
  });

  it("closes a connection that leads nowhere, and goes on", async () => {
    await using host = await openBase();
    const closed = await startMirror();
    await using exposed = await host.sandbox.expose(portOf(closed));
    await closed[Symbol.asyncDispose]();
    const socket = connect(exposed.port, exposed.host);
    socket.on("error", () => undefined);
    await once(socket, "close");
    const another = connect(exposed.port, exposed.host);
    await once(another, "connect");
    expect(another.remotePort).toBe(exposed.port);
    another.destroy();
  });

  it("ends with its disposal, open connections too", async () => {
    await using mirror = await startMirror();
    await using host = await openBase();
    const exposed = await host.sandbox.expose(portOf(mirror));
    const socket = connect(exposed.port, exposed.host);
    socket.on("error", () => undefined);
    await once(socket, "connect");
    await exposed[Symbol.asyncDispose]();
    await exposed[Symbol.asyncDispose]();
    if (!socket.closed) await once(socket, "close");
    const late = connect(exposed.port, exposed.host);
    await expect(once(late, "connect")).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  it("ends with the sandbox", async () => {
    await using mirror = await startMirror();
    await using host = await openBase();
    const exposed = await host.sandbox.expose(portOf(mirror));
    await host.sandbox.remove();
    const late = connect(exposed.port, exposed.host);
    await expect(once(late, "connect")).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await expect(host.sandbox.expose(1)).rejects.toMatchObject({ code: "SANDBOX_INVALID_STATE" });
  });

  it("says that an address is in use, and stops when it is aborted", async () => {
    await using mirror = await startMirror();
    await using host = await openBase();
    await expect(host.sandbox.expose(80, { hostPort: portOf(mirror) })).rejects.toMatchObject({
      code: "IO_ERROR",
      details: { hostPort: portOf(mirror) },
    });
    const reason = new Error("enough");
    await expect(host.sandbox.expose(80, { signal: AbortSignal.abort(reason) })).rejects.toBe(
      reason,
    );
  });
});

describe("abilities of the runtime", () => {
  it("freezes and goes on", async () => {
    await using host = await openBase();
    const ticker = host.sandbox.spawn(["sh", "-c", "while echo tick; do sleep 0.02; done"]);
    const lines = ticker.lines()[Symbol.asyncIterator]();
    await lines.next();
    await host.sandbox.pause();
    await host.sandbox.pause();
    const states = execFileSync("ps", ["-o", "stat=", "--ppid", String(process.pid)]).toString();
    expect(states).toMatch(/^T/m);
    await host.sandbox.resume();
    for (let left = 100; left > 0; left -= 1) await lines.next();
    await ticker[Symbol.asyncDispose]();
  });

  it("says what the runtime cannot do", async () => {
    await using host = await openBase({}, (runtime) => {
      const {
        portForward: _forward,
        pauseContainer: _pause,
        podSandboxStats: _stats,
        ...rest
      } = runtime;
      return rest;
    });
    const { sandbox } = host;
    const refusals = [
      sandbox.commit("mine:1"),
      sandbox.pause(),
      sandbox.stats(),
      sandbox.connect(80),
    ];
    for (const refusal of refusals) {
      await expect(refusal).rejects.toMatchObject({ code: "RUNTIME_NOT_SUPPORTED" });
    }
  });

  it("commits with what the image is to say", async () => {
    const requests: unknown[] = [];
    await using host = await openBase({}, (runtime) => ({
      ...runtime,
      async commitContainer(request) {
        requests.push(request);
        return "sha256:1";
      },
    }));
    const { containerId } = host.sandbox;
    const id = await host.sandbox.commit("mine:1", { config: { cmd: ["sh"] }, comment: "tools" });
    expect(id).toBe("sha256:1");
    expect(requests).toEqual([
      { containerId, reference: "mine:1", config: { cmd: ["sh"] }, comment: "tools" },
    ]);
  });

  it("shows a container's first bytes to who attaches before the start", async () => {
    await using host = await openBase();
    const { runtime, sandbox } = host;
    const { status } = await runtime.containerStatus({ containerId: sandbox.containerId });
    const pod = await runtime.podSandboxStatus({ podSandboxId: sandbox.id });
    const containerId = await runtime.createContainer({
      podSandboxId: sandbox.id,
      config: {
        metadata: { name: "second" },
        image: { image: status.imageId },
        command: ["cat"],
        stdin: true,
      },
      sandboxConfig: { metadata: pod.status.metadata },
    });
    const session = await runtime.attach?.({ containerId, stdin: true });
    await runtime.startContainer({ containerId });
    await session?.stdin.write("first");
    await session?.stdin.end();
    if (session === undefined) throw new Error("the runtime has no attach");
    expect(await text(session.stdout)).toBe("first");
  });
});
