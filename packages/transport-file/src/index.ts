export { fileTransport } from "./file-transport.ts";
export { fileTransportOptions, type FileTransportOptions } from "./file-transport-options.ts";
export { followProgress, requestCancel, submitJobFile, waitForResult } from "./client.ts";
export type { WaitOptions } from "./client.ts";
