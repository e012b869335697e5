import { allowAllPolicy, listSandboxes } from "@longshore/core";
import { sandboxMcpServer, serveStdio } from "@longshore/sandbox-mcp";
import { openBase } from "../../core/test/runtime/open-base.ts";

const host = await openBase();
const server = sandboxMcpServer(host.sandbox, { policy: allowAllPolicy(), subject: "local:test" });
await serveStdio(server);
await host.sandbox.remove();
const left = await listSandboxes(host.runtime);
await host[Symbol.asyncDispose]();
process.stderr.write(`left ${left.length}\n`);
