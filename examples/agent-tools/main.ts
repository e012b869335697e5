import { openSandbox } from "@longshore/core";
import { sandboxMcpServer } from "@longshore/sandbox-mcp";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import { agentPolicy } from "./agent-policy.ts";
import { openSandboxes } from "./open-runtime.ts";
import { script } from "./script.ts";

await using sandboxes = await openSandboxes();
const { runtime, images } = sandboxes;
await using sandbox = await openSandbox(runtime, {
  image: process.argv[2] ?? process.env["SANDBOX_IMAGE"] ?? "busybox",
  images,
  memoryMb: 512,
  idleTimeoutMs: 60_000,
});

// The agent's side knows nothing but the protocol. For one in a program of its own, use `serveStdio(server)`.
const server = sandboxMcpServer(sandbox, { policy: agentPolicy, subject: "service:agent" });
const [near, far] = InMemoryTransport.createLinkedPair();
await server.connect(far);
const client = new Client({ name: "scripted-agent", version: "1.0.0" });
await client.connect(near);

const { tools } = await client.listTools();
console.log("tools:", tools.map(({ name }) => name).join(", "));
for (const { name, args } of script("/work")) {
  const { content, isError } = await client.callTool({ name, arguments: args });
  console.log(
    `\n> ${name} ${JSON.stringify(args)}${isError === true ? "   (refused or failed)" : ""}`,
  );
  for (const part of content as readonly { readonly text?: string }[]) console.log(part.text);
}
await client.close();
