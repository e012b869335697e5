import { workerVersion, type Sandbox } from "@longshore/core";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { registerBashTool } from "./bash-tool.ts";
import { registerFileTools } from "./file-tools.ts";
import type { McpTransport } from "./mcp-transport.ts";
import { toolLimits, type SandboxMcpOptions } from "./sandbox-mcp-options.ts";
import { toolGate } from "./tool-gate.ts";

/** An MCP server that serves one client at a time. Disposing closes it. */
export interface SandboxMcpServer extends AsyncDisposable {
  /** Begins to serve the client at the other end of a transport, which belongs to the server from now on. */
  connect(transport: McpTransport): Promise<void>;
  /** Leaves the client and ends its calls. Idempotent. */
  close(): Promise<void>;
}

/**
 * The tools `bash`, `read_file`, `write_file` and `list_files` of one sandbox, as an MCP server to be connected to a
 * transport. The sandbox stays its owner's: closing the server ends the calls that run, and nothing else.
 */
export function sandboxMcpServer(sandbox: Sandbox, options: SandboxMcpOptions): SandboxMcpServer {
  const limits = toolLimits(options);
  const gate = toolGate(options, limits);
  const server = new McpServer(
    { name: "longshore-sandbox", version: workerVersion },
    {
      capabilities: { tools: {} },
      instructions:
        "The tools work in a sandbox with files and processes of its own. Paths are absolute.",
    },
  );
  registerBashTool(server, sandbox, { limits, gate });
  registerFileTools(server, sandbox, { limits, gate });
  return {
    connect: (transport) => server.connect(transport as Transport),
    close: () => server.close(),
    [Symbol.asyncDispose]: () => server.close(),
  };
}
