import { readFile } from "node:fs/promises";
import { allowAllPolicy, denyAllPolicy, type Policy, type Sandbox } from "@longshore/core";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import type { CallToolResult, Progress } from "@modelcontextprotocol/sdk/types.js";
import { sandboxMcpServer, type SandboxMcpOptions } from "@longshore/sandbox-mcp";
import { describe, expect, it } from "vitest";
import { isRunning, openBase } from "../../core/test/runtime/open-base.ts";

interface Session extends AsyncDisposable {
  readonly client: Client;
  readonly sandbox: Sandbox;
  at(path: string): string;
  call(
    name: string,
    args: Record<string, unknown>,
    options?: Parameters<Client["callTool"]>[2],
  ): Promise<CallToolResult>;
  close(): Promise<void>;
}

/** A client of the SDK, connected to the server of a sandbox of its own. */
async function connect(options: Partial<SandboxMcpOptions> = {}): Promise<Session> {
  const host = await openBase();
  const server = sandboxMcpServer(host.sandbox, {
    policy: allowAllPolicy(),
    subject: "service:agent",
    ...options,
  });
  const [near, far] = InMemoryTransport.createLinkedPair();
  const client = new Client({ name: "test", version: "1.0.0" });
  await server.connect(far);
  await client.connect(near);
  return {
    client,
    sandbox: host.sandbox,
    at: host.at,
    call: async (name, args, call) =>
      (await client.callTool({ name, arguments: args }, undefined, call)) as CallToolResult,
    close: () => client.close(),
    async [Symbol.asyncDispose]() {
      await client.close();
      await host[Symbol.asyncDispose]();
    },
  };
}

function textOf({ content }: CallToolResult): string {
  return content.map((part) => (part.type === "text" ? part.text : "")).join("");
}

/** Allows what it is told, and notes what it is asked. */
function notingPolicy(allowed: readonly string[]): Policy & { readonly asked: unknown[] } {
  const asked: unknown[] = [];
  return {
    name: "noting",
    asked,
    async check(request) {
      asked.push(request);
      return { allowed: allowed.includes(request.object) };
    },
  };
}

describe("the MCP server of a sandbox", () => {
  it("says who it is and which tools it has", async () => {
    await using session = await connect();
    expect(session.client.getServerVersion()).toMatchObject({ name: "longshore-sandbox" });
    const { tools } = await session.client.listTools();
    expect(tools.map(({ name }) => name)).toEqual([
      "bash",
      "read_file",
      "write_file",
      "list_files",
    ]);
    expect(tools[0]?.inputSchema.required).toEqual(["command"]);
    expect(tools[1]?.annotations?.readOnlyHint).toBe(true);
  });

  it("works through a small task, as an agent would", async () => {
    await using session = await connect();
    const script = session.at("work/sum.py");
    const written = await session.call("write_file", { path: script, content: "print(6 * 7)\n" });
    expect(textOf(written)).toBe(`13 bytes written to ${script}`);
    const ran = await session.call("bash", { command: `python3 ${script}` });
    expect(ran.structuredContent).toMatchObject({ exit_code: 0, stdout: "42\n", stderr: "" });
    const listed = await session.call("list_files", { path: session.at("work") });
    expect(listed.structuredContent).toEqual({
      entries: [{ name: "sum.py", type: "file", size: 13 }],
      entries_left_out: 0,
    });
    const read = await session.call("read_file", { path: script });
    expect(read.structuredContent).toEqual({ content: "print(6 * 7)\n" });
  });

  it("refuses limits that make no sense", async () => {
    await using host = await openBase();
    const options = { policy: denyAllPolicy(), subject: "anonymous", timeoutMs: 0 };
    expect(() => sandboxMcpServer(host.sandbox, options)).toThrow(RangeError);
  });
});

describe("bash", () => {
  it("answers with exit code, signal and both outputs", async () => {
    await using session = await connect();
    const failed = await session.call("bash", {
      command: "cat; echo oops >&2; exit 3",
      stdin: "typed\n",
    });
    expect(failed.isError).toBeUndefined();
    expect(textOf(failed)).toBe("exit code 3\n--- stdout\ntyped\n\n--- stderr\noops\n");
    const killed = await session.call("bash", { command: "kill -TERM $$" });
    expect(killed.structuredContent).toMatchObject({ exit_code: 143, signal: "SIGTERM" });
    const moved = await session.call("bash", { command: "pwd", cwd: "/usr" });
    expect(moved.structuredContent).toMatchObject({ stdout: "/usr\n" });
  });

  it("cuts long output between characters and says so", async () => {
    await using session = await connect({ maxOutputBytes: 1_001 });
    const result = await session.call("bash", { command: "printf 'é%.0s' $(seq 1000)" });
    expect(result.structuredContent).toMatchObject({
      stdout: "é".repeat(500),
      stdout_bytes_left_out: 1_000,
    });
    expect(textOf(result)).toContain("(1000 bytes left out at the end)");
  });

  it("kills a command after its time, and shows how far it came", async () => {
    await using session = await connect();
    const result = await session.call("bash", {
      command: "echo begun; sleep 1000",
      timeout_ms: 1_500,
    });
    expect(result.isError).toBe(true);
    expect(textOf(result)).toMatch(/^TIMEOUT: .*\n--- stdout\nbegun\n$/);
    const tooLong = await session.call("bash", { command: "true", timeout_ms: 600_001 });
    expect(tooLong.isError).toBe(true);
    expect(textOf(tooLong)).toContain("timeout_ms");
  });

  it("kills the command of a call that is cancelled", async () => {
    await using session = await connect();
    const abort = new AbortController();
    const pids: number[] = [];
    const running = session.call(
      "bash",
      { command: "sleep 1000 & echo $!; wait" },
      {
        signal: abort.signal,
        onprogress({ message }) {
          pids.push(Number(message));
          abort.abort();
        },
      },
    );
    await expect(running).rejects.toBeInstanceOf(Error);
    const [pid = 0] = pids;
    expect(pid).toBeGreaterThan(0);
    await expect.poll(() => isRunning(pid), { timeout: 10_000 }).toBe(false);
  });

  it("kills the command when the client leaves", async () => {
    await using session = await connect();
    const pid = Promise.withResolvers<number>();
    const running = session.call(
      "bash",
      { command: "sleep 1000 & echo $!; wait" },
      { onprogress: ({ message }) => pid.resolve(Number(message)) },
    );
    const failing = running.catch((thrown: unknown) => thrown);
    const sleeper = await pid.promise;
    await session.close();
    expect(await failing).toBeInstanceOf(Error);
    await expect.poll(() => isRunning(sleeper), { timeout: 10_000 }).toBe(false);
  });

  it("tells a client that asks how much output there is", async () => {
    await using session = await connect();
    const told: Progress[] = [];
    await session.call(
      "bash",
      { command: "for i in 1 2 3; do echo line $i; sleep 0.3; done" },
      { onprogress: (progress) => void told.push(progress) },
    );
    expect(told.length).toBeGreaterThan(1);
    expect(told[0]).toMatchObject({ progress: 7, message: "line 1" });
    const amounts = told.map(({ progress }) => progress);
    expect(amounts).toEqual(amounts.toSorted((a, b) => a - b));
  });

  it("falls back to sh where there is no bash", async () => {
    const host = await openBase({}, (runtime) => ({
      ...runtime,
      exec: (request, options) =>
        runtime.exec(
          request.cmd[0] === "bash" ? { ...request, cmd: ["/none/bash"] } : request,
          options,
        ),
    }));
    await using _host = host;
    const server = sandboxMcpServer(host.sandbox, {
      policy: allowAllPolicy(),
      subject: "service:agent",
    });
    const [near, far] = InMemoryTransport.createLinkedPair();
    const client = new Client({ name: "test", version: "1.0.0" });
    await server.connect(far);
    await client.connect(near);
    const result = await client.callTool({ name: "bash", arguments: { command: "echo $0" } });
    expect(result.structuredContent).toMatchObject({ stdout: "sh\n" });
    await client.close();
  });

  it("lets in only so many calls at a time", async () => {
    await using session = await connect({ maxConcurrentCalls: 1 });
    const begun = Promise.withResolvers<void>();
    const first = session.call(
      "bash",
      { command: "echo here; cat /proc/sys/kernel/ostype; sleep 0.5" },
      { onprogress: () => begun.resolve() },
    );
    await begun.promise;
    const second = await session.call("bash", { command: "true" });
    expect(textOf(second)).toMatch(/^LIMIT_EXCEEDED: /);
    expect((await first).isError).toBeUndefined();
  });
});

describe("the policy", () => {
  it("is asked before every call", async () => {
    const policy = notingPolicy(["tool:read_file"]);
    await using session = await connect({ policy, domain: "HfModel" });
    const at = session.at("made");
    const denied = [
      await session.call("bash", { command: `touch ${at}` }),
      await session.call("write_file", { path: at, content: "x" }),
    ];
    for (const result of denied) {
      expect(result.isError).toBe(true);
      expect(textOf(result)).toMatch(/^POLICY_DENIED: service:agent may not execute tool:/);
    }
    const listed = await session.call("list_files", { path: session.at(".") });
    expect(listed.structuredContent).toMatchObject({ entries: [{ name: "etc" }] });
    const read = await session.call("read_file", { path: session.at("etc/motd") });
    expect(textOf(read)).toBe("hello from the image\n");
    const who = { subject: "service:agent", domain: "HfModel", action: "execute" };
    expect(policy.asked).toEqual([
      { ...who, object: "tool:bash" },
      { ...who, object: "tool:write_file" },
      { ...who, object: "tool:read_file" },
      { ...who, object: "tool:read_file" },
    ]);
  });

  it("has said no when it fails", async () => {
    const broken: Policy = { name: "broken", check: () => Promise.reject(new Error("no file")) };
    await using session = await connect({ policy: broken });
    const result = await session.call("bash", { command: "true" });
    expect(textOf(result)).toMatch(/^POLICY_DENIED: /);
  });
});

describe("the file tools", () => {
  it("read a long file piece by piece, each of whole characters", async () => {
    await using session = await connect({ maxOutputBytes: 100 });
    const content = "aé€😀\n".repeat(80);
    await session.call("write_file", { path: session.at("long"), content });
    let read = "";
    let offset: number | undefined = 0;
    while (offset !== undefined) {
      const result = await session.call("read_file", { path: session.at("long"), offset });
      const part = result.structuredContent as { content: string; next_offset?: number };
      expect(Buffer.byteLength(part.content)).toBeLessThanOrEqual(100);
      read += part.content;
      offset = part.next_offset;
    }
    expect(read).toBe(content);
  });

  it("say what is wrong", async () => {
    await using session = await connect({ maxWriteBytes: 10 });
    await session.sandbox.files.write(session.at("binary"), new Uint8Array([0, 255, 1]));
    const wrong: readonly (readonly [string, Record<string, unknown>, RegExp])[] = [
      ["read_file", { path: session.at("nothing") }, /^NOT_FOUND: /],
      ["read_file", { path: "relative" }, /^VALIDATION_ERROR: /],
      ["read_file", { path: session.at("binary") }, /^VALIDATION_ERROR: This is no text/],
      ["list_files", { path: session.at("binary") }, /^IO_ERROR: /],
      ["write_file", { path: session.at("a"), content: "x".repeat(11) }, /^LIMIT_EXCEEDED: /],
      ["write_file", { path: session.at("a"), content: "x", mode: "rwx" }, /mode/],
      ["write_file", { path: session.at("a") }, /content/],
      ["bash", { command: "true", cwd: "/no/such/directory" }, /./],
    ];
    for (const [name, args, message] of wrong) {
      const result = await session.call(name, args);
      expect(result.isError, name).toBe(true);
      expect(textOf(result)).toMatch(message);
    }
    expect((await session.sandbox.files.list(session.at("."))).map(({ name }) => name)).toEqual([
      "binary",
      "etc",
    ]);
  });

  it("set modes, and leave entries out when there are too many", async () => {
    await using session = await connect({ maxEntries: 2 });
    for (const name of ["a", "b", "c"]) {
      await session.call("write_file", {
        path: session.at(`d/${name}`),
        content: name,
        mode: "755",
      });
    }
    const listed = await session.call("list_files", { path: session.at("d") });
    expect(textOf(listed)).toBe("file\t1\ta\nfile\t1\tb\n--- 1 entries left out");
    expect(await session.sandbox.files.stat(session.at("d/a"))).toMatchObject({ mode: 0o755 });
    expect(await readFile(session.at("d/a"), "utf8")).toBe("a");
  });

  it("say so when the sandbox is gone", async () => {
    await using session = await connect();
    await session.sandbox.remove();
    const result = await session.call("read_file", { path: "/etc/hostname" });
    expect(textOf(result)).toMatch(/^SANDBOX_INVALID_STATE: /);
  });
});
