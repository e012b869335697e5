export { diskPlugin, plugin } from "./disk-plugin.ts";
export { diskInspectHandler, type DiskInspectOptions } from "./disk-inspect-handler.ts";
export type { InspectPayload } from "./inspect-payload.ts";
export type { InspectReport, OperatingSystem } from "./inspect-report.ts";
