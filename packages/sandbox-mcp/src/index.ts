export { sandboxMcpServer } from "./sandbox-mcp-server.ts";
export { serveStdio, type ServeStdioOptions } from "./serve-stdio.ts";
export type { SandboxMcpOptions } from "./sandbox-mcp-options.ts";
