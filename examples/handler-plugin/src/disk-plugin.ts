import { delimiter } from "node:path";
import { definePlugin, type Plugin } from "@longshore/core";
import { diskInspectHandler, type DiskInspectOptions } from "./disk-inspect-handler.ts";

/** The plugin for a host program that knows where its images lie. */
export function diskPlugin(options: DiskInspectOptions): Plugin {
  return definePlugin({
    name: "disk",
    setup(host) {
      host.registerHandler(diskInspectHandler(options));
    },
  });
}

/**
 * The plugin for a worker that loads it by name from its configuration. The environment variable
 * `LONGSHORE_DISK_ROOTS` says which directories may be read; without it the worker does not start.
 */
export const plugin: Plugin = definePlugin({
  name: "disk",
  setup(host) {
    const roots = (process.env["LONGSHORE_DISK_ROOTS"] ?? "").split(delimiter).filter(Boolean);
    if (roots.length === 0) {
      throw new Error("set LONGSHORE_DISK_ROOTS to the directories that hold disk images");
    }
    host.registerHandler(diskInspectHandler({ roots }));
  },
});
