/**
 * A transport of `@modelcontextprotocol/sdk`, as far as it must be known here. The SDK's own type needs the types of
 * browsers, which a program on a server need not have.
 */
export interface McpTransport {
  start(): Promise<void>;
  send(message: never): Promise<void>;
  close(): Promise<void>;
  onclose?: (() => void) | undefined;
  onerror?: ((error: Error) => void) | undefined;
  onmessage?: ((message: never) => void) | undefined;
}
