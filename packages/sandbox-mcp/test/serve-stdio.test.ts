import { join } from "node:path";
import { PassThrough } from "node:stream";
import { allowAllPolicy } from "@longshore/core";
import { sandboxMcpServer, serveStdio } from "@longshore/sandbox-mcp";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { describe, expect, it } from "vitest";
import { openBase } from "../../core/test/runtime/open-base.ts";

describe("serveStdio", () => {
  it("serves a client that has started it as a program", async () => {
    const transport = new StdioClientTransport({
      command: process.execPath,
      args: ["--conditions=@longshore/source", join(import.meta.dirname, "stdio-program.ts")],
      stderr: "pipe",
    });
    const client = new Client({ name: "test", version: "1.0.0" });
    await client.connect(transport);
    const result = await client.callTool({ name: "bash", arguments: { command: "echo $((6*7))" } });
    expect(result.structuredContent).toMatchObject({ exit_code: 0, stdout: "42\n" });
    let errors = "";
    transport.stderr?.on("data", (chunk) => (errors += String(chunk)));
    const ended = new Promise((resolve) => transport.stderr?.once("end", resolve));
    await client.close();
    await ended;
    // The program itself says so, after it has put its sandbox away.
    expect(errors).toBe("left 0\n");
  });

  it("resolves when its input ends, its output breaks, or the signal says so", async () => {
    await using host = await openBase();
    const options = { policy: allowAllPolicy(), subject: "service:agent" };
    const ends = [
      (input: PassThrough) => void input.end(),
      (input: PassThrough) => void input.destroy(),
      (_input: PassThrough, output: PassThrough) => void output.destroy(new Error("EPIPE")),
      (_input: PassThrough, _output: PassThrough, abort: AbortController) => abort.abort(),
    ];
    for (const end of ends) {
      const input = new PassThrough();
      const output = new PassThrough();
      const abort = new AbortController();
      const serving = serveStdio(sandboxMcpServer(host.sandbox, options), {
        input,
        output,
        signal: abort.signal,
      });
      const ping = { jsonrpc: "2.0", id: 1, method: "ping" };
      input.write(`${JSON.stringify(ping)}\n`);
      const [answer] = await output
        .take(1)
        .toArray({ signal: AbortSignal.timeout(10_000) })
        .catch(() => []);
      expect(JSON.parse(String(answer))).toMatchObject({ id: 1, result: {} });
      end(input, output, abort);
      await serving;
    }
  });

  it("leaves a client that sends a message without an end", async () => {
    await using host = await openBase();
    const server = sandboxMcpServer(host.sandbox, {
      policy: allowAllPolicy(),
      subject: "service:agent",
    });
    const input = new PassThrough();
    const serving = serveStdio(server, {
      input,
      output: new PassThrough(),
      maxMessageBytes: 10_000,
    });
    input.write("x".repeat(20_000));
    expect(await serving).toBeUndefined();
  });
});
