export { containerHandler, containerOperations } from "./container-handler.ts";
export type {
  BuiltImage,
  ContainerHandlerOptions,
  NetworkAccess,
} from "./container-handler-options.ts";
