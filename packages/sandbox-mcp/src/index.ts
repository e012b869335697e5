export { sandboxMcpServer, type SandboxMcpServer } from "./sandbox-mcp-server.ts";
export type { McpTransport } from "./mcp-transport.ts";
export { serveStdio, type ServeStdioOptions } from "./serve-stdio.ts";
export type { SandboxMcpOptions } from "./sandbox-mcp-options.ts";
