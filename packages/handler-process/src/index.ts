export { processHandler } from "./process-handler.ts";
export type { ProcessHandlerOptions, ProcessRuntime } from "./process-handler-options.ts";
